/*
 * bench_flow.c - FlowEngine's side of the benchmark. Reads lines "WHAT CASE COUNT" and answers each with the CPU
 * nanoseconds that it took: WHAT is render, compile, hand (the first case written in C by hand) or plain (the
 * test whether a text is a template at all).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "template/template.h"
#include "value/json.h"
#include "value/number.h"

enum { MOST_CASES = 32 };

typedef struct Case {
    const FlowValue *source, *context;
    FlowTemplate *tmpl;
} Case;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static FlowTemplate *compiled(const Case *c)
{
    FlowTemplate *tmpl = NULL;
    FlowError error;
    if (flow_template_compile(flow_value_text(c->source), flow_value_length(c->source), NULL, &tmpl, NULL,
                              &error) != FLOW_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return tmpl;
}

static void render(const Case *c, FlowBuf *out)
{
    FlowError error;
    const FlowTemplateVar vars[] = {{"data", *flow_object_get(*c->context, "data")}};
    const FlowTemplateContext context = {.vars = vars, .var_count = 1};
    flow_buf_clear(out);
    if (flow_template_render(c->tmpl, &context, out, NULL, &error) != FLOW_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

/* What a person would write for the first case, on the same values. */
static void by_hand(const Case *c, FlowBuf *out)
{
    const FlowValue data = *flow_object_get(*c->context, "data");
    const FlowValue *name = flow_object_get(*flow_object_get(data, "user"), "name");
    size_t count;
    const FlowValue *rows = flow_array_items(*flow_object_get(data, "rows"), &count);
    char number[32];
    flow_buf_clear(out);
    flow_buf_append(out, "Hello ", 6);
    flow_buf_append(out, flow_value_text(name), flow_value_length(name));
    flow_buf_append(out, ", your score is ", 16);
    flow_buf_append(out, number,
                    (size_t)snprintf(number, sizeof number, "%.1f",
                                     flow_value_get_float(*flow_object_get(data, "score"))));
    for (size_t i = 0; i < count; i++) {
        const FlowValue *title = flow_object_get(rows[i], "title");
        const char *text = flow_value_text(title);
        flow_buf_byte(out, ' ');
        flow_buf_append(out, number, flow_format_int(number, (int64_t)i + 1));
        flow_buf_byte(out, ':');
        for (size_t k = 0; k < flow_value_length(title); k++)
            flow_buf_byte(out, text[k] >= 'a' && text[k] <= 'z' ? (char)(text[k] - 32) : text[k]);
    }
}

int main(int argc, char **argv)
{
    static Case cases[MOST_CASES];
    static char text[1 << 20];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    size_t len = file != NULL ? fread(text, 1, sizeof text, file) : 0;
    FlowValue all;
    FlowError error;
    if (file == NULL || flow_json_read(text, len, NULL, &all, &error) != FLOW_OK)
        return 1;
    fclose(file);
    for (size_t i = 0; i < flow_array_count(all); i++) {
        cases[i].source = flow_object_get(*flow_array_at(all, i), "template");
        cases[i].context = flow_object_get(*flow_array_at(all, i), "context");
        cases[i].tmpl = compiled(&cases[i]);
    }
    char what[16];
    unsigned index;
    unsigned long count;
    FlowBuf out;
    flow_buf_init(&out, 0);
    while (scanf("%15s %u %lu", what, &index, &count) == 3 && index < flow_array_count(all)) {
        const Case *c = &cases[index];
        volatile bool is_template = false;
        uint64_t start = now();
        for (unsigned long i = 0; i < count; i++) {
            if (strcmp(what, "render") == 0)
                render(c, &out);
            else if (strcmp(what, "compile") == 0)
                flow_template_unref(compiled(c));
            else if (strcmp(what, "hand") == 0)
                by_hand(c, &out);
            else if (strcmp(what, "plain") == 0)
                is_template = flow_template_is_template("a plain field of some length", 28);
            else if (strcmp(what, "show") == 0)
                render(c, &out);
        }
        (void)is_template;
        if (strcmp(what, "show") == 0)
            printf("%.*s\n", (int)out.len, out.data);
        else
            printf("%llu\n", (unsigned long long)(now() - start));
        fflush(stdout);
    }
    flow_buf_done(&out);
    for (size_t i = 0; i < flow_array_count(all); i++)
        flow_template_unref(cases[i].tmpl);
    flow_value_unref(all);
    return 0;
}
