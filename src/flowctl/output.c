#include "flowctl/output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "value/json.h"
#include "value/path.h"
#include "wire/json.h"

enum { COLUMNS_MAX = 12, CELL_MAX = 60 };

void flow_print_json(FlowValue value, bool compact)
{
    char *text = flow_json_text(value, compact ? 0 : FLOW_JSON_WRITE_PRETTY);
    if (text != NULL)
        puts(text);
    free(text);
    fflush(stdout);
}

/* Text of a cell, cut to CELL_MAX characters; what could move the cursor is shown as a space. Yours to free. */
static char *cell(const FlowValue *value)
{
    if (value == NULL || flow_value_is_null(*value))
        return flow_strdup("-");
    char *text = flow_value_kind(*value) == FLOW_VALUE_STRING ? flow_strdup(flow_value_text(value))
                                                              : flow_json_text(*value, 0);
    if (text == NULL)
        return flow_strdup("?");
    for (char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    text[flow_utf8_offset(text, strlen(text), CELL_MAX)] = '\0';
    return text;
}

static void print_heading(const char *path, size_t width, bool last)
{
    char heading[CELL_MAX + 1];
    size_t len = 0;
    for (const char *c = path; *c != '\0' && len < CELL_MAX; c++) {
        if (isupper((unsigned char)*c) && len > 0)
            heading[len++] = ' ';
        heading[len++] = (char)toupper((unsigned char)*c);
        if (len > CELL_MAX - 2)
            break;
    }
    heading[len] = '\0';
    printf("%-*s%s", last ? 0 : (int)width, heading, last ? "\n" : "  ");
}

void flow_print_table(FlowValue list, const char *const *columns)
{
    size_t rows = flow_array_count(list), count = 0, widths[COLUMNS_MAX] = {0};
    while (count < COLUMNS_MAX && columns[count] != NULL) {
        widths[count] = strlen(columns[count]) + 3;
        count++;
    }
    char **cells = flow_calloc(rows * count + 1, sizeof *cells);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < count; c++) {
            char *text = cells[r * count + c] = cell(flow_path_get_text(*flow_array_at(list, r), columns[c]));
            size_t width = flow_utf8_count(text, strlen(text));
            if (width > widths[c])
                widths[c] = width;
        }
    }
    for (size_t c = 0; c < count; c++)
        print_heading(columns[c], widths[c], c + 1 == count);
    for (size_t i = 0; i < rows * count; i++) {
        size_t c = i % count, width = flow_utf8_count(cells[i], strlen(cells[i]));
        printf("%s%*s", cells[i], c + 1 == count ? 0 : (int)(widths[c] - width + 2),
               c + 1 == count ? "\n" : "");
        free(cells[i]);
    }
    free(cells);
    fflush(stdout);
}

static const char *text_at(FlowValue object, const char *key, const char *otherwise)
{
    const FlowValue *value = flow_object_get(object, key);
    return value != NULL && flow_value_kind(*value) == FLOW_VALUE_STRING ? flow_value_text(value) : otherwise;
}

/* The member of the event that is not one of those which every event has. */
static const FlowMember *event_kind(FlowValue event)
{
    static const char *const common[] = {"cursor", "time", "runId", "workflowId"};
    size_t count;
    const FlowMember *members = flow_object_members(event, &count);
    for (size_t i = 0; i < count; i++) {
        bool is_common = false;
        for (size_t j = 0; j < FLOW_COUNT(common); j++)
            is_common = is_common || flow_value_text_equals(&members[i].key, common[j]);
        if (!is_common)
            return &members[i];
    }
    return NULL;
}

void flow_print_event(FlowValue event)
{
    const FlowMember *kind = event_kind(event);
    const char *time = text_at(event, "time", "");
    if (kind == NULL)
        return;
    /* The time of day is enough for who is watching: 2026-11-23T20:36:31.042Z -> 20:36:31.042 */
    const char *t = strchr(time, 'T');
    printf("%.12s  %-18s ", t != NULL ? t + 1 : "", flow_value_text(&kind->key));
    if (flow_value_text_equals(&kind->key, "log")) {
        char *message = cell(flow_object_get(kind->value, "message"));
        printf("%-12s %s\n", text_at(kind->value, "nodeId", ""), message);
        free(message);
    } else if (flow_value_text_equals(&kind->key, "snapshot")) {
        const FlowValue *run = flow_object_get(kind->value, "run");
        FlowValue shown = run != NULL ? *run : kind->value;
        printf("run %s of workflow %s is %s\n", text_at(shown, "id", "?"), text_at(shown, "workflowId", "?"),
               text_at(shown, "state", "?"));
    } else {
        flow_print_json(kind->value, true);
    }
    fflush(stdout);
}

static void print_violations(FlowValue status)
{
    const FlowValue *details = flow_object_get(status, "details");
    for (size_t i = 0; details != NULL && i < flow_array_count(*details); i++) {
        const FlowValue *violations = flow_object_get(*flow_array_at(*details, i), "fieldViolations");
        for (size_t j = 0; violations != NULL && j < flow_array_count(*violations); j++) {
            FlowValue one = *flow_array_at(*violations, j);
            fprintf(stderr, "  %s: %s\n", text_at(one, "field", ""), text_at(one, "description", ""));
        }
    }
}

void flow_print_error(const FlowError *error, const FlowBuf *details)
{
    fprintf(stderr, "flowctl: %s: %s\n", flow_status_name(error->status), error->message);
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMessage *type = flow_wire_message(pool, "google.rpc.Status");
    FlowValue status;
    if (details->len == 0 || type == NULL ||
        flow_message_to_value(pool, type, details->data, details->len, 0, &status, NULL) != FLOW_OK)
        return;
    print_violations(status);
    flow_value_unref(status);
}

int flow_exit_status(FlowStatus status)
{
    switch (status) {
    case FLOW_OK:
        return 0;
    case FLOW_NOT_FOUND:
        return 3;
    case FLOW_UNAUTHENTICATED:
    case FLOW_PERMISSION_DENIED:
        return 4;
    case FLOW_FAILED_PRECONDITION:
    case FLOW_ALREADY_EXISTS:
    case FLOW_ABORTED:
        return 5;
    case FLOW_INVALID_ARGUMENT:
        return 6;
    case FLOW_UNAVAILABLE:
        return 7;
    case FLOW_DEADLINE_EXCEEDED:
        return 8;
    default:
        return 1;
    }
}
