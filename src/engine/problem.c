#include "engine/problem.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { MESSAGE_MAX = 1024, FIRST_CAPACITY = 16 };

static const struct {
    const char *name, *summary;
    FlowSeverity severity;
} codes[FLOW_PROBLEM_CODE_COUNT] = {
#define X(name, severity, summary) [FLOW_PROBLEM_##name] = {#name, summary, FLOW_SEVERITY_##severity},
    FLOW_PROBLEM_MAP(X)
#undef X
};

void flow_problems_init(FlowProblems *problems)
{
    *problems = (FlowProblems){0};
    flow_arena_init(&problems->arena, 0);
}

void flow_problems_done(FlowProblems *problems)
{
    free(problems->items);
    flow_arena_done(&problems->arena);
    *problems = (FlowProblems){0};
}

static const char *keep(FlowProblems *problems, const char *text, size_t limit)
{
    if (!text || !*text)
        return "";
    size_t len = strnlen(text, limit);
    if (text[len])
        len = flow_utf8_valid_prefix(text, len);
    char *copy = flow_arena_strndup(&problems->arena, text, len);
    return copy ? copy : "";
}

void flow_problems_add(FlowProblems *problems, FlowProblemCode code, const char *node_id, const char *edge_id,
                       const char *field, const char *format, ...)
{
    if (codes[code].severity == FLOW_SEVERITY_ERROR)
        problems->errors++;
    else
        problems->warnings++;
    if (problems->count == FLOW_PROBLEMS_MAX)
        return;
    if (problems->count == problems->capacity) {
        size_t capacity = problems->capacity ? problems->capacity * 2 : FIRST_CAPACITY;
        FlowProblem *items = flow_try_realloc_array(problems->items, capacity, sizeof(*items));
        if (!items)
            return; /* still counted: a workflow with errors never counts as sound */
        problems->items = items;
        problems->capacity = capacity;
    }
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    /* Where vsnprintf() had to cut, it may have cut a character in two. */
    if (strlen(message) == sizeof(message) - 1)
        message[flow_utf8_valid_prefix(message, sizeof(message) - 1)] = '\0';
    problems->items[problems->count++] = (FlowProblem){
        .severity = codes[code].severity,
        .code = code,
        .node_id = keep(problems, node_id, 256),
        .edge_id = keep(problems, edge_id, 256),
        .field = keep(problems, field, 512),
        .message = keep(problems, message, MESSAGE_MAX),
    };
}

FlowStatus flow_problems_to_error(const FlowProblems *problems, FlowError *reterr)
{
    if (!problems->errors)
        return FLOW_OK;
    const FlowProblem *first = NULL;
    for (size_t i = 0; i < problems->count && !first; i++) {
        if (problems->items[i].severity == FLOW_SEVERITY_ERROR)
            first = &problems->items[i];
    }
    if (!first)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "WORKFLOW_INVALID", NULL,
                              "the workflow has %zu errors: validate it to see them", problems->errors);
    if (problems->errors == 1)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "WORKFLOW_INVALID", first->field, "%s",
                              first->message);
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "WORKFLOW_INVALID", first->field,
                          "%s (and %zu more: validate the workflow to see all)", first->message,
                          problems->errors - 1);
}

const char *flow_severity_name(FlowSeverity severity)
{
    return severity == FLOW_SEVERITY_ERROR ? "ERROR" : "WARNING";
}

const char *flow_problem_code_name(FlowProblemCode code)
{
    return code < FLOW_PROBLEM_CODE_COUNT ? codes[code].name : "UNKNOWN";
}

const char *flow_problem_code_summary(FlowProblemCode code)
{
    return code < FLOW_PROBLEM_CODE_COUNT ? codes[code].summary : "";
}

FlowSeverity flow_problem_code_severity(FlowProblemCode code)
{
    return code < FLOW_PROBLEM_CODE_COUNT ? codes[code].severity : FLOW_SEVERITY_ERROR;
}

const char *flow_brief(char to[FLOW_BRIEF_TEXT], const char *text, size_t len)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    size_t room = FLOW_BRIEF_TEXT - sizeof(ellipsis);
    bool cut = len > room;
    if (cut)
        len = flow_utf8_valid_prefix(text, room);
    memcpy(to, text, len);
    memcpy(to + len, cut ? ellipsis : "", cut ? sizeof(ellipsis) : 1);
    return to;
}
