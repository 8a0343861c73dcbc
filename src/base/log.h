/*
 * log.h - structured logging to standard error: one event a line, for people (`human`) or for machines
 * (`json`).
 *
 * Only outer layers log; library code returns errors. Any thread; a line is written with one write(), never
 * torn.
 *
 *   flow_log(FLOW_LOG_WARNING, "store is away", FLOW_F_STR("store", url), FLOW_F_INT("retry_ms", ms));
 */
#ifndef FLOW_BASE_LOG_H
#define FLOW_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/status.h"

typedef enum FlowLogLevel {
    FLOW_LOG_DEBUG,
    FLOW_LOG_INFO,
    FLOW_LOG_WARNING,
    FLOW_LOG_ERROR,
    FLOW_LOG_LEVEL_COUNT
} FlowLogLevel;

typedef enum FlowLogFormat { FLOW_LOG_HUMAN, FLOW_LOG_JSON } FlowLogFormat;

typedef struct FlowLogField {
    const char *name; /* snake_case; NULL: the field is left out */
    enum { FLOW_LOG_FIELD_TEXT, FLOW_LOG_FIELD_INT, FLOW_LOG_FIELD_FLOAT, FLOW_LOG_FIELD_BOOL } kind;
    const char *text; /* NULL: the field is left out */
    size_t text_len;  /* SIZE_MAX: up to the NUL */
    int64_t integer;
    double number;
} FlowLogField;

#define FLOW_F_STR(name, value)       ((FlowLogField){name, FLOW_LOG_FIELD_TEXT, value, SIZE_MAX, 0, 0})
#define FLOW_F_STRN(name, value, len) ((FlowLogField){name, FLOW_LOG_FIELD_TEXT, value, len, 0, 0})
#define FLOW_F_INT(name, value)       ((FlowLogField){name, FLOW_LOG_FIELD_INT, "", 0, (int64_t)(value), 0})
#define FLOW_F_FLOAT(name, value)     ((FlowLogField){name, FLOW_LOG_FIELD_FLOAT, "", 0, 0, value})
#define FLOW_F_BOOL(name, value)      ((FlowLogField){name, FLOW_LOG_FIELD_BOOL, "", 0, (value) ? 1 : 0, 0})

/* Before threads start. Default: INFO, human, standard error, the real clock. */
void flow_log_setup(FlowLogLevel least, FlowLogFormat format, int fd, const FlowClock *clock);
/* Any time, any thread. */
void flow_log_set_level(FlowLogLevel least);
bool flow_log_enabled(FlowLogLevel level);

#define flow_log(level, message, ...)                                                                        \
    do {                                                                                                     \
        if (flow_log_enabled(level))                                                                         \
            flow_log_write(level, message, (FlowLogField[]){__VA_ARGS__},                                    \
                           sizeof((FlowLogField[]){__VA_ARGS__}) / sizeof(FlowLogField));                    \
    } while (0)

/* Use flow_log(). Texts are cut at 8 KiB, a line at 64 KiB; bytes that are no UTF-8 are shown as U+FFFD. */
void flow_log_write(FlowLogLevel level, const char *message, const FlowLogField *fields, size_t count);
/* The error's message, with its status, reason and where as fields, after `message`. */
void flow_log_error(FlowLogLevel level, const char *message, const FlowError *error);

/* "debug", "info", "warning", "error"; -1 for anything else. */
int flow_log_level_from_name(const char *name);
const char *flow_log_level_name(FlowLogLevel level);

#endif
