/* template.c - the room's interface: compiling, rendering, evaluating, and words for what went wrong. */
#include "template/template.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "template/exec.h"

enum { FIRST_MEMORY = 8192 };

const FlowTemplateLimits flow_template_default_limits = {
    .source_bytes = 1 << 20,
    .parse_depth = 150,
    .steps = 5000000,
    .time_ns = 2 * FLOW_NS_PER_S,
    .memory_bytes = 64 << 20,
    .output_bytes = 4 << 20,
    .value_bytes = 16 << 20,
    .value_items = 1000000,
    .range_items = 100000,
    .call_depth = 100,
    .data_depth = 200,
    .integer_bits = 4096,
};

static void fill_limits(FlowTemplateLimits *limits, const FlowTemplateLimits *wanted)
{
    const FlowTemplateLimits *d = &flow_template_default_limits;
    *limits = wanted != NULL ? *wanted : *d;
#define DEFAULT(field)                                                                                       \
    if (limits->field == 0)                                                                                  \
    limits->field = d->field
    DEFAULT(source_bytes);
    DEFAULT(parse_depth);
    DEFAULT(steps);
    DEFAULT(time_ns);
    DEFAULT(memory_bytes);
    DEFAULT(output_bytes);
    DEFAULT(value_bytes);
    DEFAULT(value_items);
    DEFAULT(range_items);
    DEFAULT(call_depth);
    DEFAULT(data_depth);
    DEFAULT(integer_bits);
#undef DEFAULT
    if (limits->value_bytes > UINT32_MAX / 2)
        limits->value_bytes = UINT32_MAX / 2;
    if (limits->source_bytes > UINT32_MAX / 4)
        limits->source_bytes = UINT32_MAX / 4;
}

/* ---- where it went wrong ---- */

enum { EXCERPT_CHARS = 72 };

void flow_template__locate(const char *source, size_t len, size_t at, FlowTemplateError *error)
{
    if (at > len)
        at = len;
    size_t begin = at, line = 1;
    while (begin > 0 && source[begin - 1] != '\n')
        begin--;
    for (size_t i = 0; i < begin; i++)
        line += source[i] == '\n';
    size_t end = at;
    while (end < len && source[end] != '\n')
        end++;
    error->line = (unsigned)line;
    error->column = (unsigned)flow_utf8_count(source + begin, at - begin) + 1;

    /* Of a long line, the part around the place. */
    size_t chars = flow_utf8_count(source + begin, end - begin), column = error->column - 1;
    size_t first = chars > EXCERPT_CHARS && column > EXCERPT_CHARS / 2 ? column - EXCERPT_CHARS / 2 : 0;
    size_t from = begin + flow_utf8_offset(source + begin, end - begin, first);
    size_t to = from + flow_utf8_offset(source + from, end - from, EXCERPT_CHARS);
    const char *more_before = first > 0 ? "…" : "", *more_behind = to < end ? "…" : "";
    char shown[EXCERPT_CHARS * 4 + 1];
    size_t n = 0, room = sizeof error->excerpt - EXCERPT_CHARS - 24;
    for (size_t i = from; i < to && n < room; i++)
        shown[n++] = (uint8_t)source[i] < 0x20 ? ' ' : source[i];
    n = flow_utf8_valid_prefix(shown, n);
    size_t lead = column - first + (first > 0);
    snprintf(error->excerpt, sizeof error->excerpt, "%s%.*s%s\n%*s^", more_before, (int)n, shown, more_behind,
             (int)lead, "");
}

static FlowStatus report(const FlowTemplateError *error, bool compiling, FlowError *reterr)
{
    char where[32];
    bool limit = error->kind == FLOW_TEMPLATE_LIMIT;
    snprintf(where, sizeof where, "%u:%u", error->line, error->column);
    return flow_error_set(reterr, limit ? FLOW_RESOURCE_EXHAUSTED : FLOW_INVALID_ARGUMENT,
                          limit       ? "TEMPLATE_LIMIT"
                          : compiling ? "TEMPLATE_SYNTAX"
                                      : "TEMPLATE_ERROR",
                          where, "line %u, column %u: %s%s%s", error->line, error->column, error->message,
                          error->hint[0] != '\0' ? "; " : "", error->hint);
}

static FlowStatus fail(const FlowTemplate *t, FlowTemplateError *error, size_t at, bool compiling,
                       FlowTemplateError *reterror_detail, FlowError *reterr)
{
    flow_template__locate(t->source, t->source_len, at, error);
    /* What a message quotes may have been cut in the middle of a character. */
    error->message[flow_utf8_valid_prefix(error->message, strlen(error->message))] = '\0';
    error->hint[flow_utf8_valid_prefix(error->hint, strlen(error->hint))] = '\0';
    if (reterror_detail != NULL)
        *reterror_detail = *error;
    return report(error, compiling, reterr);
}

/* ---- compiling ---- */

/* A copy with "\n" for all kinds of line ends, and without the last one. */
static bool keep_source(FlowTemplate *t, const char *source, size_t len, bool expression)
{
    char *kept = flow_arena_alloc(&t->memory, len + 1);
    size_t n = 0;
    if (kept == NULL)
        return false;
    if (memchr(source, '\r', len) == NULL) {
        memcpy(kept, source, len);
        n = len;
    } else {
        for (size_t i = 0; i < len; i++) {
            if (source[i] == '\r') {
                kept[n++] = '\n';
                i += i + 1 < len && source[i + 1] == '\n';
            } else {
                kept[n++] = source[i];
            }
        }
    }
    if (n > 0 && kept[n - 1] == '\n' && !expression)
        n--;
    kept[n] = '\0';
    t->source = kept;
    t->source_len = n;
    return true;
}

static void free_template(FlowTemplate *t)
{
    for (size_t i = 0; i < t->key_count; i++)
        flow_value_unref(t->keys[i].json);
    flow_arena_done(&t->memory);
    free(t);
}

static FlowStatus compile(const char *source, size_t len, const FlowTemplateOptions *options, bool expression,
                          FlowTemplate **ret_template, FlowTemplateError *reterror_detail, FlowError *reterr)
{
    FlowTemplateError error = {0};
    size_t at = 0;
    FlowTemplate *t = flow_new(FlowTemplate);
    atomic_init(&t->references, 1);
    t->strict = options != NULL && options->strict;
    t->is_expression = expression;
    fill_limits(&t->limits, options != NULL ? options->limits : NULL);
    flow_arena_init(&t->memory, 0);
    FlowStatus status = FLOW_OK;
    size_t valid = flow_utf8_valid_prefix(source, len);
    if (len > t->limits.source_bytes) {
        error.kind = FLOW_TEMPLATE_LIMIT;
        snprintf(error.message, sizeof error.message, "the template is longer than %zu bytes",
                 t->limits.source_bytes);
        t->source = "";
        status = fail(t, &error, 0, true, reterror_detail, reterr);
    } else if (valid != len) {
        error.kind = FLOW_TEMPLATE_SYNTAX;
        snprintf(error.message, sizeof error.message, "the template is no valid UTF-8 at byte %zu", valid);
        if (!keep_source(t, source, valid, true))
            t->source = "";
        status = fail(t, &error, t->source_len, true, reterror_detail, reterr);
    } else if (!keep_source(t, source, len, expression)) {
        t->source = "";
        error.kind = FLOW_TEMPLATE_LIMIT;
        snprintf(error.message, sizeof error.message, "the template needs too much memory to compile");
        status = fail(t, &error, 0, true, reterror_detail, reterr);
    } else if (!flow_compile(t, &error, &at)) {
        status = fail(t, &error, at, true, reterror_detail, reterr);
    }
    if (status != FLOW_OK) {
        free_template(t);
        return status;
    }
    *ret_template = t;
    return FLOW_OK;
}

FlowStatus flow_template_compile(const char *source, size_t len, const FlowTemplateOptions *options,
                                 FlowTemplate **ret_template, FlowTemplateError *reterror_detail,
                                 FlowError *reterr)
{
    return compile(source, len, options, false, ret_template, reterror_detail, reterr);
}

FlowStatus flow_expression_compile(const char *source, size_t len, const FlowTemplateOptions *options,
                                   FlowTemplate **ret_template, FlowTemplateError *reterror_detail,
                                   FlowError *reterr)
{
    return compile(source, len, options, true, ret_template, reterror_detail, reterr);
}

FlowTemplate *flow_template_ref(FlowTemplate *tmpl)
{
    atomic_fetch_add_explicit(&tmpl->references, 1, memory_order_relaxed);
    return tmpl;
}

FlowTemplate *flow_template_unref(FlowTemplate *tmpl)
{
    if (tmpl != NULL && atomic_fetch_sub_explicit(&tmpl->references, 1, memory_order_acq_rel) == 1)
        free_template(tmpl);
    return NULL;
}

/* ---- rendering ---- */

static FlowVal global_value(const FlowTemplateContext *context, const FlowGlobal *global)
{
    for (size_t i = 0; i < context->var_count; i++) {
        const char *name = context->vars[i].name;
        if (strncmp(name, global->name.s, global->name.len) == 0 && name[global->name.len] == '\0')
            return flow_val__from_json(&context->vars[i].value);
    }
    if (global->native != NULL)
        return (FlowVal){.type = V_FUNCTION, .native = global->native};
    return val_missing();
}

typedef struct Render {
    FlowVm vm;
    FlowTemplateLimits limits;
    _Alignas(16) char memory[FIRST_MEMORY];
} Render;

static bool begin(Render *r, const FlowTemplate *t, const FlowTemplateContext *context)
{
    FlowVm *vm = &r->vm;
    memset(vm, 0, sizeof *vm);
    if (context->limits != NULL)
        fill_limits(&vm->limits, context->limits);
    else
        vm->limits = t->limits;
    flow_arena_init(&vm->memory, vm->limits.memory_bytes);
    vm->memory.next = r->memory;
    vm->memory.end = r->memory + sizeof r->memory;
    flow_buf_init(&vm->captured, vm->limits.memory_bytes);
    vm->tmpl = t;
    vm->context = context;
    vm->clock = context->clock != NULL ? context->clock : flow_clock_real();
    vm->strict = t->strict;
    vm->fuel = vm->limits.steps < 2048 ? vm->limits.steps : 2048;
    vm->reserve = vm->limits.steps - vm->fuel;
    vm->globals = flow_vm__alloc(vm, (t->global_count + 1) * sizeof *vm->globals);
    for (size_t i = 0; vm->globals != NULL && i < t->global_count; i++)
        vm->globals[i] = global_value(context, &t->globals[i]);
    return vm->globals != NULL;
}

static FlowStatus failed(Render *r, uint32_t at, FlowTemplateError *reterror_detail, FlowError *reterr)
{
    FlowTemplateError error = {.kind = r->vm.kind};
    memcpy(error.message, r->vm.message, sizeof error.message);
    memcpy(error.hint, r->vm.hint, sizeof error.hint);
    return fail(r->vm.tmpl, &error, at, false, reterror_detail, reterr);
}

static const FlowTemplateContext no_context;

FlowStatus flow_template_render(const FlowTemplate *tmpl, const FlowTemplateContext *context, FlowBuf *out,
                                FlowTemplateError *reterror_detail, FlowError *reterr)
{
    Render r;
    uint32_t at = 0;
    size_t start = out->len, limit = out->limit;
    bool ok = begin(&r, tmpl, context != NULL ? context : &no_context);
    if (out->limit - start > r.vm.limits.output_bytes)
        out->limit = start + r.vm.limits.output_bytes;
    r.vm.out = out;
    ok = ok && flow_exec(&r.vm, NULL, &at);
    out->limit = limit;
    FlowStatus status = FLOW_OK;
    if (!ok) {
        status = failed(&r, at, reterror_detail, reterr);
        out->len = start;
        out->failed = false;
    }
    flow_vm__release(&r.vm);
    return status;
}

static FlowStatus evaluate(const FlowTemplate *tmpl, const FlowTemplateContext *context, FlowValue *ret_value,
                           bool *ret_true, FlowTemplateError *reterror_detail, FlowError *reterr)
{
    Render r;
    FlowVal value = val_none();
    FlowValue made = flow_value_null();
    bool truth = false;
    uint32_t at = 0;
    FlowBuf text;
    bool ok = begin(&r, tmpl, context != NULL ? context : &no_context);
    flow_buf_init(&text, r.vm.limits.output_bytes);
    r.vm.out = &text;
    ok = ok && flow_exec(&r.vm, tmpl->is_value ? &value : NULL, &at);
    if (ok && !tmpl->is_value)
        value = val_string(text.data != NULL ? text.data : "", text.len);
    ok = ok && flow_val__truth(&r.vm, value, &truth) &&
         (ret_value == NULL || flow_val__to_json(&r.vm, value, &made));
    FlowStatus status = ok ? FLOW_OK : failed(&r, at, reterror_detail, reterr);
    flow_buf_done(&text);
    flow_vm__release(&r.vm);
    if (status != FLOW_OK)
        return status;
    if (ret_value != NULL)
        *ret_value = made;
    if (ret_true != NULL)
        *ret_true = truth;
    return FLOW_OK;
}

FlowStatus flow_template_eval(const FlowTemplate *tmpl, const FlowTemplateContext *context,
                              FlowValue *ret_value, FlowTemplateError *reterror_detail, FlowError *reterr)
{
    return evaluate(tmpl, context, ret_value, NULL, reterror_detail, reterr);
}

FlowStatus flow_expression_test(const FlowTemplate *expression, const FlowTemplateContext *context,
                                bool *ret_true, FlowValue *ret_value, FlowTemplateError *reterror_detail,
                                FlowError *reterr)
{
    return evaluate(expression, context, ret_value, ret_true, reterror_detail, reterr);
}

/* ---- looking at a template ---- */

bool flow_template_is_template(const char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        const char *brace = memchr(text + i, '{', len - i - 1);
        if (brace == NULL)
            return false;
        i = (size_t)(brace - text);
        if (text[i + 1] == '{' || text[i + 1] == '%' || text[i + 1] == '#')
            return true;
    }
    return false;
}

bool flow_template_is_value(const FlowTemplate *tmpl)
{
    return tmpl->is_value;
}

bool flow_template_is_constant(const FlowTemplate *tmpl)
{
    return tmpl->is_constant;
}

size_t flow_template_path_count(const FlowTemplate *tmpl)
{
    return tmpl->path_count;
}

const FlowTemplatePath *flow_template_path(const FlowTemplate *tmpl, size_t index)
{
    return index < tmpl->path_count ? &tmpl->paths[index] : NULL;
}

size_t flow_template_size(const FlowTemplate *tmpl)
{
    return sizeof *tmpl + tmpl->memory.used;
}
