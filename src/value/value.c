#include "value/value.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "value/box.h"

const char *flow_value_kind_name(FlowValueKind kind)
{
    static const char *const names[FLOW_VALUE_KIND_COUNT] = {"null",   "bool",  "int",   "float",
                                                             "string", "array", "object"};
    return (unsigned)kind < FLOW_VALUE_KIND_COUNT ? names[kind] : "unknown";
}

/* ---- numbers ---- */

static const double two_to_53 = 9007199254740992.0;
static const double two_to_63 = 9223372036854775808.0;

FlowValue flow_value_number(double number)
{
    if (number >= -two_to_53 && number <= two_to_53 && number == (double)(int64_t)number &&
        !(number == 0 && signbit(number)))
        return flow_value_int((int64_t)number);
    return flow_value_float(number);
}

bool flow_value_to_int(FlowValue value, int64_t *ret_integer)
{
    if (value.tag == FLOW_VALUE_INT) {
        *ret_integer = value.integer;
        return true;
    }
    if (value.tag != FLOW_VALUE_FLOAT || !(value.number >= -two_to_63 && value.number < two_to_63) ||
        value.number != (double)(int64_t)value.number)
        return false;
    *ret_integer = (int64_t)value.number;
    return true;
}

bool flow_value_to_double(FlowValue value, double *ret_number)
{
    if (value.tag == FLOW_VALUE_FLOAT) {
        *ret_number = value.number;
        return true;
    }
    if (value.tag != FLOW_VALUE_INT)
        return false;
    double near = (double)value.integer;
    /* 2^63 - 1 rounds up to 2^63, which the cast back could not represent. */
    if (near >= two_to_63 || (int64_t)near != value.integer)
        return false;
    *ret_number = near;
    return true;
}

double flow_value_near_double(FlowValue value)
{
    if (value.tag == FLOW_VALUE_FLOAT)
        return value.number;
    return value.tag == FLOW_VALUE_INT ? (double)value.integer : 0;
}

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_int_double(int64_t integer, double number)
{
    if (isnan(number))
        return 2;
    if (number >= two_to_63)
        return -1;
    if (number < -two_to_63)
        return 1;
    int64_t whole = (int64_t)number;
    if (integer != whole)
        return order(integer, whole);
    double rest = number - (double)whole;
    return (rest < 0) - (rest > 0);
}

int flow_value_compare_numbers(FlowValue a, FlowValue b)
{
    if (a.tag == FLOW_VALUE_INT && b.tag == FLOW_VALUE_INT)
        return order(a.integer, b.integer);
    if (a.tag == FLOW_VALUE_INT)
        return compare_int_double(a.integer, b.number);
    if (b.tag == FLOW_VALUE_INT) {
        int reverse = compare_int_double(b.integer, a.number);
        return reverse == 2 ? 2 : -reverse;
    }
    if (isnan(a.number) || isnan(b.number))
        return 2;
    return (a.number > b.number) - (a.number < b.number);
}

/* ---- strings ---- */

FlowStatus flow_value_try_blank_string(size_t length, FlowValue *ret_value, char **ret_text,
                                       FlowError *reterr)
{
    if (length <= FLOW_VALUE_SHORT_STRING) {
        *ret_value = flow_value__short_string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0", length);
        *ret_text = ret_value->text;
        return FLOW_OK;
    }
    FlowStatus status = flow_value__check_bounds(FLOW_SIZE_VALUE + FLOW_SIZE_STRING, length, 0, reterr);
    if (status != FLOW_OK)
        return status;
    size_t bytes = flow_string__bytes(length);
    FlowStringBox *box = flow_box__alloc(bytes);
    if (box == NULL)
        return flow_value__no_memory(bytes, reterr);
    box->refs = 1;
    box->text[length] = '\0';
    *ret_text = box->text;
    *ret_value = flow_value__make((uintptr_t)box, (uint32_t)length, FLOW_VALUE_STRING | FLOW_VALUE__BOXED);
    return FLOW_OK;
}

FlowStatus flow_value_try_string(const char *text, size_t length, FlowValue *ret_value, FlowError *reterr)
{
    if (length <= FLOW_VALUE_SHORT_STRING) {
        *ret_value = flow_value__short_string(text, length);
        return FLOW_OK;
    }
    char *to;
    FlowStatus status = flow_value_try_blank_string(length, ret_value, &to, reterr);
    if (status == FLOW_OK)
        memcpy(to, text, length);
    return status;
}

FlowValue flow_value_stringn(const char *text, size_t length)
{
    FlowValue value;
    if (flow_value_try_string(text, length, &value, NULL) != FLOW_OK)
        abort();
    return value;
}

FlowValue(flow_value_string)(const char *text)
{
    return flow_value_stringn(text, strlen(text));
}

bool flow_value_text_equals(const FlowValue *string, const char *text)
{
    size_t length = strlen(text);
    return flow_value_kind(*string) == FLOW_VALUE_STRING && flow_value_length(string) == length &&
           memcmp(flow_value_text(string), text, length) == 0;
}

/* ---- whole values ---- */

unsigned flow_value_depth(FlowValue value)
{
    return flow_value__depth(value);
}

size_t flow_value_size(FlowValue value)
{
    return (size_t)flow_value__size(value);
}

static bool equal(FlowValue a, FlowValue b, bool by_number);

static bool equal_arrays(FlowValue a, FlowValue b, bool by_number)
{
    size_t count, count_b;
    const FlowValue *items = flow_array_items(a, &count), *items_b = flow_array_items(b, &count_b);
    if (count != count_b)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!equal(items[i], items_b[i], by_number))
            return false;
    }
    return true;
}

static bool equal_objects(FlowValue a, FlowValue b, bool by_number)
{
    size_t count, count_b;
    const FlowMember *members = flow_object_members(a, &count), *members_b = flow_object_members(b, &count_b);
    if (count != count_b)
        return false;
    for (size_t i = 0; i < count; i++) {
        /* Most often both have the same order. */
        const FlowValue *other = flow_value__same_string(members[i].key, members_b[i].key)
                                     ? &members_b[i].value
                                     : flow_object_get_key(b, members[i].key);
        if (other == NULL || !equal(members[i].value, *other, by_number))
            return false;
    }
    return true;
}

/* Recursion: as deep as the values. Time: their sizes, which are bounded with shared parts counted each time.
 */
static bool equal(FlowValue a, FlowValue b, bool by_number)
{
    FlowValueKind kind = flow_value_kind(a);
    if (by_number && flow_value_is_number(a) && flow_value_is_number(b))
        return flow_value_compare_numbers(a, b) == 0;
    if (kind != flow_value_kind(b))
        return false;
    if (kind == FLOW_VALUE_STRING)
        return flow_value__same_string(a, b);
    if (kind < FLOW_VALUE_ARRAY)
        return a.word[0] == b.word[0];
    /* One box is equal to itself, unless it holds a NaN and NaN isn't. */
    if (a.tag & FLOW_VALUE__BOXED && a.box == b.box && b.tag == a.tag && !by_number)
        return true;
    return kind == FLOW_VALUE_ARRAY ? equal_arrays(a, b, by_number) : equal_objects(a, b, by_number);
}

bool flow_value_equal(FlowValue a, FlowValue b)
{
    return equal(a, b, false);
}

bool flow_value_equal_numbers(FlowValue a, FlowValue b)
{
    return equal(a, b, true);
}

/* ---- hash ---- */

/* "FlowEngine value" as little-endian numbers; the second is varied by the kind. */
static const uint64_t hash_key[2] = {0x69676e45776f6c46, 0x65756c617620656e};

static FlowHash128 hash_words(FlowValueKind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t key[2] = {hash_key[0], hash_key[1] ^ (uint64_t)kind};
    const uint64_t words[4] = {htole64(a), htole64(b), htole64(c), htole64(d)};
    return flow_siphash128(words, sizeof words, key);
}

static FlowHash128 hash_text(FlowValue string)
{
    const uint64_t key[2] = {hash_key[0], hash_key[1] ^ FLOW_VALUE_STRING};
    return flow_siphash128(flow_value_text(&string), flow_value_length(&string), key);
}

static FlowHash128 hash_array(FlowValue array)
{
    size_t count;
    const FlowValue *items = flow_array_items(array, &count);
    FlowHash128 all = hash_words(FLOW_VALUE_ARRAY, count, 0, 0, 0);
    for (size_t i = 0; i < count; i++) {
        FlowHash128 item = flow_value_hash(items[i]);
        all = hash_words(FLOW_VALUE_ARRAY, all.low, all.high, item.low, item.high);
    }
    return all;
}

/* A sum, because members may come in any order. */
static FlowHash128 hash_object(FlowValue object)
{
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    unsigned __int128 sum = 0;
    for (size_t i = 0; i < count; i++) {
        FlowHash128 key = hash_text(members[i].key), value = flow_value_hash(members[i].value);
        FlowHash128 member = hash_words(FLOW_VALUE_OBJECT, key.low, key.high, value.low, value.high);
        sum += (unsigned __int128)member.high << 64 | member.low;
    }
    return hash_words(FLOW_VALUE_OBJECT, count, (uint64_t)sum, (uint64_t)(sum >> 64), 0);
}

FlowHash128 flow_value_hash(FlowValue value)
{
    FlowValueKind kind = flow_value_kind(value);
    if (kind == FLOW_VALUE_STRING)
        return hash_text(value);
    if (kind == FLOW_VALUE_ARRAY)
        return hash_array(value);
    if (kind == FLOW_VALUE_OBJECT)
        return hash_object(value);
    return hash_words(kind, value.word[0], 0, 0, 0);
}
