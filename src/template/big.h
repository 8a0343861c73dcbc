/*
 * big.h - integers beyond 64 bits, up to the bound in bits; by GMP. Private to the room.
 *
 * A result that fits 64 bits is always a V_INT, so two equal integers have one form. GMP's own memory is
 * given back before each function returns: results are copied into the render's memory.
 */
#ifndef FLOW_TEMPLATE_BIG_H
#define FLOW_TEMPLATE_BIG_H

#include "template/ast.h"
#include "template/vm.h"

/* "123", "0x1f", "0b1", "0o7", of a template's text. False when beyond the default bound or memory. */
bool flow_big__parse_literal(FlowArena *arena, const char *digits, FlowVal *ret);

/* OP_ADD, SUB, MUL, FLOORDIV, MOD, POW (exponent >= 0) and NEG (b is ignored) of V_INT and V_BIG. */
bool flow_big__binary(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret);
/* a / b as the nearest double. */
bool flow_big__divide(FlowVm *vm, FlowVal a, FlowVal b, double *ret);
/* -1, 0, 1 */
int flow_big__compare(FlowVal a, FlowVal b);
/* Exact; `number` is not NaN. */
int flow_big__compare_double(FlowVal a, double number);
/* The nearest double; an infinity when there is none. */
double flow_big__to_double(FlowVal big);
/* Towards zero; `number` is finite. */
bool flow_big__from_double(FlowVm *vm, double number, FlowVal *ret);
/* [+-] digits of the base (2 to 36), nothing else. False without a failure in the vm: *ret_bad. */
bool flow_big__parse(FlowVm *vm, const char *text, size_t len, int base, FlowVal *ret, bool *ret_bad);
/* Digits with a "-" if need be. */
void flow_big__write(FlowBuf *to, FlowVal big, int base, bool upper);
int flow_big__sign(FlowVal big);
uint64_t flow_big__hash(FlowVal big);
const FlowBig *flow_big__copy(FlowArena *arena, const FlowBig *big);

#endif
