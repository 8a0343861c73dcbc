/* filters_json.c - tojson (for HTML, as Jinja has it), to_json and from_json. */
#include <stdio.h>

#include "template/natives.h"
#include "value/json.h"

static bool dumped(FlowVm *vm, FlowVal v, FlowVal indent, FlowJsonStyle style, FlowVal *ret)
{
    style.indent = -1;
    style.item_separator = ", ";
    style.key_separator = ": ";
    if (!arg_absent(indent)) {
        if (!flow_arith__to_int(vm, indent, "indent", &style.indent))
            return false;
        style.indent = style.indent < 0 ? 0 : style.indent;
        style.item_separator = ",";
    }
    FlowBuild build = flow_vm__build(vm);
    if (!flow_json__dump(vm, build.buf, v, &style))
        return flow_vm__build_drop(vm, build);
    return flow_vm__built(vm, build, ret);
}

static bool filter_tojson(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowJsonStyle style = {.sorted = true, .ascii = true, .html_safe = true};
    if (!dumped(vm, args[0], args[1], style, ret))
        return false;
    ret->flags |= VAL_MARKUP;
    return true;
}

static bool filter_to_json(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowJsonStyle style = {0};
    return arg_truth(vm, args[2], false, &style.sorted) && dumped(vm, args[0], args[1], style, ret);
}

static bool filter_from_json(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowJsonLimits limits = {.bytes = vm->limits.value_bytes,
                             .values = vm->limits.value_items,
                             .depth = 100,
                             .flags = FLOW_JSON_READ_DUPLICATES};
    FlowValue value;
    FlowError error;
    if (!arg_string(vm, args[0], "filter 'from_json'") || !flow_vm__charge(vm, 1 + args[0].len / 8))
        return false;
    if (flow_json_read(args[0].s, args[0].len, &limits, &value, &error) != FLOW_OK)
        return flow_vm__fail(vm, "filter 'from_json': %s: %s", error.where, error.message);
    const FlowValue *kept = flow_vm__own_take(vm, value);
    if (kept == NULL)
        return false;
    *ret = flow_val__from_json(kept);
    return true;
}

static const FlowNative rows[] = {
    {"tojson", filter_tojson, {"value", "indent"}, 1, NULL},
    {"to_json", filter_to_json, {"value", "indent", "sort_keys"}, 1, NULL},
    {"from_json", filter_from_json, {"value"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_json, rows);
