/*
 * template.h - Jinja templates and expressions: compiled once, rendered many times.
 *
 *     FlowTemplate *greeting = NULL;
 *     flow_template_compile("Hello {{ data.name }}", 21, NULL, &greeting, NULL, &error);
 *     const FlowTemplateVar vars[] = {{"data", data}};
 *     flow_template_render(greeting, &(FlowTemplateContext){.vars = vars, .var_count = 1}, &out, NULL, &error);
 *
 * A FlowTemplate never changes once compiled: any number of threads may render it at the same time, without a
 * lock. A render touches nothing but its context (borrowed, not changed), its output and memory of its own
 * that is gone when it returns. Nothing in a template reaches files, the environment, the network or the
 * clock except through the context; what a template prints is never rendered a second time.
 *
 * The language is Jinja's (docs/templates.md lists every filter, test, method and the deviations).
 */
#ifndef FLOW_TEMPLATE_TEMPLATE_H
#define FLOW_TEMPLATE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/status.h"
#include "value/value.h"

typedef struct FlowTemplate FlowTemplate;

/*
 * What one compile and one render may cost. Reaching a bound ends it with FLOW_RESOURCE_EXHAUSTED, reason
 * TEMPLATE_LIMIT, and no output. A zero stands for the default.
 */
typedef struct FlowTemplateLimits {
    size_t source_bytes;   /* length of a template; default 1 MiB */
    unsigned parse_depth;  /* parentheses, lists, blocks inside each other; default 150 */
    uint64_t steps;        /* instructions, loop turns, elements that a filter looks at; default 5,000,000 */
    int64_t time_ns;       /* monotonic; default 2 s; looked at every some thousand steps */
    size_t memory_bytes;   /* everything a render allocates, output apart; default 64 MiB */
    size_t output_bytes;   /* default 4 MiB */
    size_t value_bytes;    /* one string; default 16 MiB */
    size_t value_items;    /* one list, dict or range; default 1,000,000 and range_items */
    size_t range_items;    /* default 100,000 */
    unsigned call_depth;   /* macros, callers, recursive loops inside each other; default 100 */
    unsigned data_depth;   /* nesting of a value that is printed, compared or written as JSON; default 200 */
    unsigned integer_bits; /* default 4096 */
} FlowTemplateLimits;

extern const FlowTemplateLimits flow_template_default_limits;

typedef struct FlowTemplateOptions {
    bool strict; /* using an undefined value is an error (Jinja's StrictUndefined) */
    const FlowTemplateLimits
        *limits; /* NULL: the defaults. Copied; renders use them unless they bring their own */
} FlowTemplateOptions;

typedef enum FlowTemplateErrorKind {
    FLOW_TEMPLATE_NO_ERROR,
    FLOW_TEMPLATE_SYNTAX,    /* does not compile; an unknown filter or test counts as this */
    FLOW_TEMPLATE_UNDEFINED, /* an undefined value was used */
    FLOW_TEMPLATE_RUNTIME,   /* every other failure of a render */
    FLOW_TEMPLATE_LIMIT      /* a bound of FlowTemplateLimits was reached */
} FlowTemplateErrorKind;

/*
 * More than fits a FlowError, for people who mend the template. The FlowError that is filled in together with
 * it has status FLOW_INVALID_ARGUMENT and reason TEMPLATE_SYNTAX (compile), TEMPLATE_ERROR (render), or
 * FLOW_RESOURCE_EXHAUSTED and TEMPLATE_LIMIT (both); its `where` is "line:column".
 */
typedef struct FlowTemplateError {
    FlowTemplateErrorKind kind;
    unsigned line, column; /* from 1, column in characters */
    char message[256];     /* what is wrong, without the place */
    char hint[96];         /* nearest known name, "did you mean 'email'?"; may be empty */
    char excerpt[240];     /* the source line and below it a caret, two lines joined by a newline */
} FlowTemplateError;

typedef struct FlowTemplateVar {
    const char *name;
    FlowValue value; /* borrowed for the render */
} FlowTemplateVar;

typedef struct FlowTemplateContext {
    const FlowTemplateVar *vars; /* top-level names: data, metadata, workflow, run, env */
    size_t var_count;
    const FlowTemplateLimits *limits; /* NULL: those of the compile */
    const FlowClock *clock;           /* for now(); NULL: the real one */
} FlowTemplateContext;

/*
 * Compiles `source` (UTF-8, any bytes are safe). `options`, `reterror_detail` and `reterr` may be NULL. The
 * source is not needed afterwards.
 */
FlowStatus flow_template_compile(const char *source, size_t len, const FlowTemplateOptions *options,
                                 FlowTemplate **ret_template, FlowTemplateError *reterror_detail,
                                 FlowError *reterr);
/*
 * Compiles one expression (`condition_expression`), without the braces around it: `data.n > 2 and data.name`.
 * `{{ … }}` inside it is a parenthesised value, never text; a string from such an island that holds just a
 * number counts as that number where it stands directly beside a number in a comparison or in arithmetic.
 * The result goes to flow_template_eval() and flow_expression_test().
 */
FlowStatus flow_expression_compile(const char *source, size_t len, const FlowTemplateOptions *options,
                                   FlowTemplate **ret_template, FlowTemplateError *reterror_detail,
                                   FlowError *reterr);

/* Another owner; any thread. */
FlowTemplate *flow_template_ref(FlowTemplate *tmpl);
/* Always NULL: t = flow_template_unref(t). NULL is fine. */
FlowTemplate *flow_template_unref(FlowTemplate *tmpl);

/*
 * Appends the rendered text to `out`; on failure `out` is as it was before. The bound on the output is the
 * smaller one of the limits' and what `out` still takes.
 */
FlowStatus flow_template_render(const FlowTemplate *tmpl, const FlowTemplateContext *context, FlowBuf *out,
                                FlowTemplateError *reterror_detail, FlowError *reterr);

/*
 * The value itself: of an expression, or of a template that is nothing but one `{{ expression }}`
 * (flow_template_is_value()); the rendered text as a string for every other template. An undefined result
 * is null when lenient and an error when strict. *ret_value is yours.
 */
FlowStatus flow_template_eval(const FlowTemplate *tmpl, const FlowTemplateContext *context,
                              FlowValue *ret_value, FlowTemplateError *reterror_detail, FlowError *reterr);

/* Evaluates and answers whether the value counts as true. `ret_value` may be NULL, else it is yours. */
FlowStatus flow_expression_test(const FlowTemplate *expression, const FlowTemplateContext *context,
                                bool *ret_true, FlowValue *ret_value, FlowTemplateError *reterror_detail,
                                FlowError *reterr);

/* Does this text need the template engine at all? True when it holds "{{", "{%" or "{#". */
bool flow_template_is_template(const char *text, size_t len);
/* The whole template is one `{{ expression }}`. */
bool flow_template_is_value(const FlowTemplate *tmpl);
/* It renders to the same text whatever the context is: no expression, no statement. */
bool flow_template_is_constant(const FlowTemplate *tmpl);

/* A chain of names that a template reads from its context, such as data.counter.current. */
typedef struct FlowTemplatePath {
    const char *text; /* keys joined by dots; stops at the first key that is computed */
    unsigned line, column;
    bool guarded; /* read under `is defined`, `default` or the like: absence is expected */
} FlowTemplatePath;

/* Paths in order of appearance, each once. Borrowed from the template. */
size_t flow_template_path_count(const FlowTemplate *tmpl);
const FlowTemplatePath *flow_template_path(const FlowTemplate *tmpl, size_t index);

/* Memory that the compiled template holds, in bytes. */
size_t flow_template_size(const FlowTemplate *tmpl);

#endif
