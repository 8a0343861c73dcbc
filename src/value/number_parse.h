/* number_parse.h - decimal text taken apart, for the JSON reader and flow_parse_double(); private to the
 * value room. */
#ifndef FLOW_VALUE_NUMBER_PARSE_H
#define FLOW_VALUE_NUMBER_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without its sign: digits * 10^exponent, where `digits` are the first 19 that matter. */
typedef struct FlowDecimal {
    uint64_t digits;
    int64_t exponent;
    bool cut; /* there are more than those 19 */
    bool has_point, has_exponent;
    size_t whole_digits, fraction_digits; /* as they stand in the text */
    const char *text;                     /* the first digit or the point */
    const char *end;                      /* behind the last digit of the exponent */
} FlowDecimal;

/*
 * Takes apart the longest beginning of the form: digits [. digits] [e [+-] digits]. Any number of digits is
 * found, also none; the caller judges by the counts. False: an exponent without digits; `end` then stands
 * where they are missing.
 */
bool flow_decimal__scan(const char *text, const char *end, FlowDecimal *ret_decimal);
/* The nearest double; infinite beyond the range. */
double flow_decimal__to_double(const FlowDecimal *decimal);

#endif
