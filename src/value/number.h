/*
 * number.h - numbers as text: shortest decimal form that reads back as the same double, and exact reading.
 * None of it looks at the locale. Any thread.
 */
#ifndef FLOW_VALUE_NUMBER_H
#define FLOW_VALUE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FlowDoubleStyle {
    FLOW_DOUBLE_JSON,      /* as PYTHON, but nothing (length 0) for what is not finite */
    FLOW_DOUBLE_PYTHON,    /* repr(): 10.0  0.0001  1e-05  1e+16  -0.0  inf  -inf  nan */
    FLOW_DOUBLE_ECMASCRIPT /* String(x): 10  0.00001  1e-7  1e+21  0  Infinity  -Infinity  NaN */
} FlowDoubleStyle;

enum { FLOW_DOUBLE_TEXT = 32, FLOW_INT_TEXT = 24 };

/* Writes the text and a NUL, answers its length. */
size_t flow_format_double(char to[FLOW_DOUBLE_TEXT], double number, FlowDoubleStyle style);
size_t flow_format_int(char to[FLOW_INT_TEXT], int64_t integer);

/*
 * The nearest double of decimal text: [+-] digits [. digits] [e [+-] digits], with digits on at least one
 * side of the point; the whole of the text. Beyond a double's range it is an infinity or zero, as strtod()
 * has it. False when the text is something else; *ret_number is then not touched.
 */
bool flow_parse_double(const char *text, size_t length, double *ret_number);
/* [+-] digits within int64, the whole of the text. */
bool flow_parse_int(const char *text, size_t length, int64_t *ret_integer);

/*
 * The shortest digits of a finite number above 0: number = digits * 10^*ret_exponent, digits without trailing
 * zeros.
 */
uint64_t flow_double_shortest(double number, int *ret_exponent);

#endif
