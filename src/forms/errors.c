/* errors.c - the list of everything that is wrong with a form. */
#include "forms/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 16 * 1024 };

void flow_form_errors_done(FlowFormErrors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->items[i].name);
        free(errors->items[i].message);
    }
    free(errors->items);
    flow_value_unref(errors->rendered);
    *errors = (FlowFormErrors){0};
}

void flow_form_errors__begin(FlowFormErrors *errors, const FlowFormSchema *schema)
{
    flow_form_errors_done(errors);
    errors->schema = schema;
}

FlowFormError *flow_form_errors__push(FlowFormErrors *errors, int field, const char *code,
                                      const char *message, size_t len)
{
    errors->failures++;
    if (errors->count >= FLOW_FORM_ERRORS_MAX)
        return NULL;
    if ((errors->count & (errors->count - 1)) == 0) {
        size_t capacity = errors->count == 0 ? 1 : errors->count * 2;
        errors->items = flow_realloc(errors->items, capacity * sizeof *errors->items);
    }
    FlowFormError *error = &errors->items[errors->count++];
    *error = (FlowFormError){.field = field, .message = flow_strndup(message, len)};
    snprintf(error->code, sizeof error->code, "%s", code);
    if (field >= 0 && errors->schema != NULL)
        error->name = flow_strdup(errors->schema->fields[field].spec->name);
    return error;
}

void flow_form_errors_add(FlowFormErrors *errors, int field, const char *code, const char *format, ...)
{
    FlowBuf buf;
    va_list args;
    flow_buf_init(&buf, MESSAGE_MAX);
    va_start(args, format);
    flow_buf_vprintf(&buf, format, args);
    va_end(args);
    bool known = errors->schema != NULL && field >= 0 && (size_t)field < errors->schema->count;
    flow_form_errors__push(errors, known ? field : FLOW_FORM_NO_FIELD, code, buf.data != NULL ? buf.data : "",
                           buf.len);
    flow_buf_done(&buf);
}

void flow_form_errors__template(FlowFormErrors *errors, int field, const char *path,
                                const FlowTemplateError *detail, const FlowError *error)
{
    FlowBuf buf;
    flow_buf_init(&buf, MESSAGE_MAX);
    if (path[0] != '\0')
        flow_buf_printf(&buf, "%s: ", path);
    if (detail->line > 0)
        flow_buf_printf(&buf, "line %u, column %u: ", detail->line, detail->column);
    flow_buf_str(&buf, detail->message[0] != '\0' ? detail->message : error->message);
    if (detail->hint[0] != '\0')
        flow_buf_printf(&buf, " (%s)", detail->hint);
    FlowFormError *item = flow_form_errors__push(errors, field, "template", buf.data, buf.len);
    if (item != NULL) {
        item->template_error = true;
        item->template_kind = detail->kind;
        item->line = detail->line;
        item->column = detail->column;
    }
    flow_buf_done(&buf);
}

bool flow_form_errors__has(const FlowFormErrors *errors, int field)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].field == field && !errors->items[i].warning)
            return true;
    return false;
}

static unsigned rank(const FlowFormError *error)
{
    return error->field >= 0 ? (unsigned)error->field : 1u << 30;
}

void flow_form_errors__sort(FlowFormErrors *errors)
{
    /* Insertion keeps equal ones in order; the list is short and nearly sorted. */
    for (size_t i = 1; i < errors->count; i++) {
        FlowFormError item = errors->items[i];
        size_t to = i;
        for (; to > 0 && rank(&errors->items[to - 1]) > rank(&item); to--)
            errors->items[to] = errors->items[to - 1];
        errors->items[to] = item;
    }
}

const char *flow_form_errors_reason(const FlowFormErrors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].template_error && !errors->items[i].warning)
            return FLOW_FORM_REASON_TEMPLATE;
    return FLOW_FORM_REASON_INVALID;
}

FlowStatus flow_form_errors_to_error(const FlowFormErrors *errors, FlowError *reterr)
{
    FlowBuf buf;
    const char *where = NULL;
    size_t told = 0;
    flow_buf_init(&buf, 0);
    /* What does not fit a FlowError needn't be written. */
    for (size_t i = 0; i < errors->count && buf.len < sizeof reterr->message; i++) {
        const FlowFormError *error = &errors->items[i];
        if (error->warning)
            continue;
        if (where == NULL)
            where = error->name;
        if (told++ > 0)
            flow_buf_str(&buf, " ");
        if (error->name != NULL)
            flow_buf_printf(&buf, "%s: ", error->name);
        flow_buf_str(&buf, error->message);
    }
    FlowStatus status =
        flow_error_set(reterr, FLOW_INVALID_ARGUMENT, flow_form_errors_reason(errors), where, "%.*s",
                       (int)buf.len, buf.data != NULL ? buf.data : "the form is not valid");
    flow_buf_done(&buf);
    return status;
}
