/* fields_number.c - whole numbers, floats, decimals, and what is true. */
#include "forms/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "value/number.h"

/* Django adds the validators in this order: max first. */
static void check_range(FlowCleaning *cleaning, FlowValue value)
{
    const FlowField *field = cleaning->field;
    FlowMessageArgs args = {.show = value, .value = value};
    if (!flow_value_is_null(field->max_value) && flow_field__compare(field, value, field->max_value) == 1) {
        args.limit = field->max_value;
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_MAX_VALUE, &args);
    }
    if (!flow_value_is_null(field->min_value) && flow_field__compare(field, value, field->min_value) == -1) {
        args.limit = field->min_value;
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_MIN_VALUE, &args);
    }
}

/* The text of a number: of a string itself, else what Python prints. False for lists and objects. */
static bool number_text(FlowValue raw, FlowBuf *scratch, const char **ret_text, size_t *ret_len)
{
    if (flow_value_kind(raw) >= FLOW_VALUE_ARRAY)
        return false;
    flow_buf_clear(scratch);
    flow_py__print(scratch, raw);
    *ret_text = scratch->data;
    *ret_len = scratch->len;
    return !scratch->failed && scratch->len > 0;
}

/* Underscores are fine between two digits, and only there, as in Python's int() and float(). Works in place. */
static bool drop_underscores(char *text, size_t *len)
{
    size_t to = 0;
    for (size_t i = 0; i < *len; i++) {
        if (text[i] != '_') {
            text[to++] = text[i];
            continue;
        }
        bool between = i > 0 && i + 1 < *len && text[i - 1] >= '0' && text[i - 1] <= '9' &&
                       text[i + 1] >= '0' && text[i + 1] <= '9';
        if (!between)
            return false;
    }
    *len = to;
    return true;
}

typedef enum Parsed { PARSED_NOT, PARSED_OK, PARSED_TOO_SMALL, PARSED_TOO_LARGE } Parsed;

/* Python's int() after Django has cut a trailing ".000" off. */
static Parsed parse_whole(const char *text, size_t len, int64_t *ret_integer)
{
    const char *rest = text;
    size_t end = len;
    flow_py__strip(&rest, &end);
    end += (size_t)(rest - text); /* now the end of the text without trailing space */
    size_t zeros = end;
    while (zeros > 0 && text[zeros - 1] == '0')
        zeros--;
    if (zeros > 0 && text[zeros - 1] == '.')
        len = zeros - 1;
    flow_py__strip_number(&text, &len);

    char *ascii = NULL, *copy;
    Parsed parsed = PARSED_NOT;
    text = flow_py__ascii_digits(text, &len, &ascii);
    copy = ascii;
    if (ascii == NULL) {
        copy = flow_try_malloc(len + 1);
        if (copy == NULL)
            return PARSED_NOT;
        memcpy(copy, text, len);
    }
    if (drop_underscores(copy, &len)) {
        size_t from = len > 0 && (copy[0] == '-' || copy[0] == '+');
        bool digits = len > from;
        for (size_t i = from; i < len; i++)
            digits = digits && copy[i] >= '0' && copy[i] <= '9';
        if (digits)
            parsed = flow_parse_int(copy, len, ret_integer) ? PARSED_OK
                     : copy[0] == '-'                       ? PARSED_TOO_SMALL
                                                            : PARSED_TOO_LARGE;
    }
    free(copy);
    return parsed;
}

static bool convert_integer(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    int64_t integer = 0;
    const char *text;
    size_t len;
    FlowBuf scratch;
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_null();
        return true;
    }
    if (flow_value_kind(raw) == FLOW_VALUE_INT) {
        *ret_value = raw;
        return true;
    }
    flow_buf_init(&scratch, FLOW_VALUE_MAX_SIZE);
    Parsed parsed = number_text(raw, &scratch, &text, &len) ? parse_whole(text, len, &integer) : PARSED_NOT;
    flow_buf_done(&scratch);
    if (parsed == PARSED_OK) {
        *ret_value = flow_value_int(integer);
        return true;
    }
    if (parsed == PARSED_NOT)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_INTEGER, NULL);
    /* Python's integers have no end, ours do: say so in the words for a bound. */
    bool large = parsed == PARSED_TOO_LARGE;
    FlowMessageArgs args = {
        .limit = flow_value_int(large ? INT64_MAX : INT64_MIN), .show = raw, .value = raw};
    return flow_cleaning__fail(cleaning, large ? FLOW_MESSAGE_MAX_VALUE : FLOW_MESSAGE_MIN_VALUE, &args);
}

static bool parse_float(const char *text, size_t len, double *ret_number)
{
    char *ascii = NULL, *copy;
    flow_py__strip_number(&text, &len);
    text = flow_py__ascii_digits(text, &len, &ascii);
    copy = ascii;
    if (ascii == NULL) {
        copy = flow_try_malloc(len + 1);
        if (copy == NULL)
            return false;
        memcpy(copy, text, len);
    }
    bool ok = drop_underscores(copy, &len) && flow_parse_double(copy, len, ret_number);
    free(copy);
    return ok;
}

static bool convert_float(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    double number = 0;
    bool ok;
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_null();
        return true;
    }
    switch (flow_value_kind(raw)) {
    case FLOW_VALUE_BOOL:
        number = flow_value_get_bool(raw);
        ok = true;
        break;
    case FLOW_VALUE_STRING:
        ok = parse_float(flow_value_text(&raw), flow_value_length(&raw), &number);
        break;
    default:
        ok = flow_value_is_number(raw);
        number = flow_value_near_double(raw);
    }
    if (!ok || !isfinite(number))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_NUMBER, NULL);
    *ret_value = flow_value_float(number);
    return true;
}

static bool convert_decimal(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const char *text;
    char *digits = NULL;
    size_t len;
    FlowDecimal decimal;
    FlowBuf scratch;
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_null();
        return true;
    }
    flow_buf_init(&scratch, FLOW_VALUE_MAX_SIZE / 2);
    bool ok = number_text(raw, &scratch, &text, &len) && flow_decimal__read(text, len, &decimal, &digits);
    if (ok) {
        flow_buf_clear(&scratch);
        flow_decimal__print(&decimal, &scratch);
        ok = flow_cleaning__string(cleaning, scratch.data, scratch.len, ret_value);
    } else {
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_NUMBER, NULL);
    }
    free(digits);
    flow_buf_done(&scratch);
    return ok;
}

static bool too_many(FlowCleaning *cleaning, FlowMessageId id, int64_t max, FlowValue value)
{
    return flow_cleaning__fail(cleaning, id,
                               &(FlowMessageArgs){.max = flow_value_int(max), .value = value, .count = max});
}

/* Only the first of these bounds that is broken is told. */
static void check_digits(FlowCleaning *cleaning, FlowValue value)
{
    const FlowField *field = cleaning->field;
    int64_t max_digits = field->spec->max_digits, places = field->decimal_places, digits, decimals;
    FlowDecimal decimal;
    char *buf = NULL;
    check_range(cleaning, value);
    if ((max_digits == 0 && places < 0) ||
        !flow_decimal__read(flow_value_text(&value), flow_value_length(&value), &decimal, &buf))
        return;
    if (decimal.exponent >= 0) {
        digits = (int64_t)decimal.count + decimal.exponent;
        decimals = 0;
    } else {
        decimals = -decimal.exponent;
        digits = decimals > (int64_t)decimal.count ? decimals : (int64_t)decimal.count;
    }
    free(buf);
    if (max_digits != 0 && digits > max_digits)
        too_many(cleaning, FLOW_MESSAGE_MAX_DIGITS, max_digits, value);
    else if (places >= 0 && decimals > places)
        too_many(cleaning, FLOW_MESSAGE_MAX_DECIMAL_PLACES, places, value);
    else if (max_digits != 0 && places >= 0 && digits - decimals > max_digits - places)
        too_many(cleaning, FLOW_MESSAGE_MAX_WHOLE_DIGITS, max_digits - places, value);
}

/* Python's bool(), but for the texts that forms and people write for false. */
static bool is_true(FlowValue raw)
{
    switch (flow_value_kind(raw)) {
    case FLOW_VALUE_NULL:
        return false;
    case FLOW_VALUE_BOOL:
        return flow_value_get_bool(raw);
    case FLOW_VALUE_INT:
        return flow_value_get_int(raw) != 0;
    case FLOW_VALUE_FLOAT:
        return flow_value_get_float(raw) != 0;
    case FLOW_VALUE_STRING: {
        const char *text = flow_value_text(&raw);
        size_t len = flow_value_length(&raw);
        return !(len == 0 || (len == 1 && text[0] == '0') ||
                 (len == 5 && strncasecmp(text, "false", 5) == 0));
    }
    default:
        return !flow_value__is_empty(raw);
    }
}

static bool convert_boolean(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    bool value = is_true(raw);
    if (!value && (cleaning->field->spec->flags & FLOW_FIELD_REQUIRED))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_REQUIRED, NULL);
    *ret_value = flow_value_bool(value);
    return true;
}

/* True, false, or null for everything that is neither: never an error. */
static bool convert_null_boolean(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    (void)cleaning;
    double number;
    *ret_value = flow_value_null();
    if (flow_value_kind(raw) == FLOW_VALUE_BOOL) {
        *ret_value = raw;
    } else if (flow_value_is_number(raw)) {
        number = flow_value_near_double(raw);
        if (number == 0 || number == 1)
            *ret_value = flow_value_bool(number == 1);
    } else if (flow_value_kind(raw) == FLOW_VALUE_STRING) {
        static const char *const words[] = {"False", "false", "0", "True", "true", "1"};
        for (size_t i = 0; i < FLOW_COUNT(words); i++)
            if (flow_value_text_equals(&raw, words[i]))
                *ret_value = flow_value_bool(i >= 3);
    }
    return true;
}

const FlowFieldOps flow_field__integer = {
    .name = "IntegerField",
    .widget = FLOW_WIDGET_NUMBER,
    .options = FLOW_OPTION_RANGE,
    .convert = convert_integer,
    .check = check_range,
};

const FlowFieldOps flow_field__float = {
    .name = "FloatField",
    .widget = FLOW_WIDGET_NUMBER,
    .options = FLOW_OPTION_RANGE,
    .convert = convert_float,
    .check = check_range,
};

const FlowFieldOps flow_field__decimal = {
    .name = "DecimalField",
    .widget = FLOW_WIDGET_NUMBER,
    .options = FLOW_OPTION_RANGE | FLOW_OPTION_DIGITS,
    .convert = convert_decimal,
    .check = check_digits,
    .compare = flow_decimal__compare_values,
};

const FlowFieldOps flow_field__boolean = {
    .name = "BooleanField",
    .widget = FLOW_WIDGET_CHECKBOX,
    .convert = convert_boolean,
};

const FlowFieldOps flow_field__null_boolean = {
    .name = "NullBooleanField",
    .widget = FLOW_WIDGET_NULL_BOOLEAN_SELECT,
    .convert = convert_null_boolean,
};
