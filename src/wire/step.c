#include "wire/step.h"

#include <stdarg.h>
#include <stdio.h>

#include "value/path.h"

static void append_steps(FlowBuf *path, const FlowStep *step)
{
    if (step == NULL)
        return;
    append_steps(path, step->up);
    if (step->key != NULL)
        flow_path_append_key(path, step->key, step->len);
    else
        flow_path_append_index(path, step->len);
}

const char *flow_step_text(FlowBuf *buf, const char *field, const FlowStep *step)
{
    flow_buf_init(buf, 4096);
    if (field != NULL)
        flow_buf_str(buf, field);
    append_steps(buf, step);
    const char *text = flow_buf_text(buf);
    return text != NULL ? text : "";
}

FlowStatus flow_step_refuse(FlowError *reterr, const char *reason, const char *field, const FlowStep *step,
                            const char *format, ...)
{
    if (reterr == NULL)
        return FLOW_INVALID_ARGUMENT;
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    FlowBuf path;
    const char *where = flow_step_text(&path, field, step);
    flow_error_set(reterr, FLOW_INVALID_ARGUMENT, reason, where, "%s: %s",
                   where[0] != '\0' ? where : "the request", what);
    flow_buf_done(&path);
    return FLOW_INVALID_ARGUMENT;
}
