/* disasm.c - a compiled template as text: one line per instruction. */
#include "template/program.h"

static const char *const op_names[] = {
#define X(name, effect) [I_##name] = #name,
    FLOW_OP_MAP(X)
#undef X
};

static void put_key(const FlowTemplate *t, FlowBuf *to, uint32_t key)
{
    FlowVal val = t->keys[key].val;
    if (val.type == V_STRING)
        flow_buf_printf(to, "%.*s", (int)val.len, val.s);
    else
        flow_buf_printf(to, "%lld", (long long)val.i);
}

static void put_chain(const FlowTemplate *t, FlowBuf *to, const FlowChain *chain)
{
    FlowVal name = t->globals[chain->name].name;
    flow_buf_printf(to, " %.*s", (int)name.len, name.s);
    for (uint32_t i = 0; i < chain->count; i++) {
        flow_buf_byte(to, '.');
        put_key(t, to, chain->first + i);
    }
}

/* What the operands mean, where that is more than numbers. */
static void put_meaning(const FlowTemplate *t, FlowBuf *to, const FlowOp *op)
{
    FlowVal v;
    switch ((FlowOpCode)op->op) {
    case I_TEXT:
    case I_CONST:
    case I_UNDEFINED:
    case I_FAIL:
        v = t->constants[op->c];
        if (v.type == V_STRING)
            flow_buf_printf(to, " \"%.*s\"", (int)(v.len < 40 ? v.len : 40), v.s);
        break;
    case I_CHAIN:
    case I_PRINT_CHAIN:
        put_chain(t, to, &t->chains[op->c]);
        break;
    case I_LOCAL:
    case I_OUTER:
    case I_GLOBAL:
    case I_SET_GLOBAL:
        if (op->c < t->global_count) { /* the compiler's own slots have no name */
            v = t->globals[op->c].name;
            flow_buf_printf(to, " %.*s", (int)v.len, v.s);
        }
        break;
    case I_KEY:
    case I_SET_ATTRIBUTE:
        flow_buf_byte(to, ' ');
        put_key(t, to, op->c);
        break;
    case I_FILTER:
    case I_TEST:
    case I_CALL_METHOD:
        flow_buf_byte(to, ' ');
        put_key(t, to, t->sites[op->c].name);
        break;
    default:
        break;
    }
}

void flow_template__disassemble(const FlowTemplate *tmpl, FlowBuf *to)
{
    for (size_t f = 0; f < tmpl->function_count; f++) {
        const FlowFunction *function = &tmpl->functions[f];
        flow_buf_printf(to, "function %zu: %u slots, stack of %u\n", f, function->slots, function->stack);
        for (size_t i = 0; i < function->count; i++) {
            const FlowOp *op = &function->code[i];
            flow_buf_printf(to, "%5zu  %-16s a=%u b=%u c=%u", i, op_names[op->op], op->a, op->b, op->c);
            put_meaning(tmpl, to, op);
            flow_buf_byte(to, '\n');
        }
    }
}
