/*
 * settings.h - the settings of flowd: one table (settings.c) makes flags, environment, configuration file, --help
 * and the check of docs/operations.md.
 *
 * A setting `grpc-listen` is the flag --grpc-listen, the variable FLOWD_GRPC_LISTEN and the line
 * `grpc-listen = …` of the file. A flag wins over the environment, that over the file, that over the default.
 */
#ifndef FLOW_FLOWD_SETTINGS_H
#define FLOW_FLOWD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* Texts are never NULL; "" where nothing was given. Times in ms, sizes in bytes. */
typedef struct FlowSettings {
    char *config;
    char *http_origins, *http_hosts;
    char *grpc_listen, *http_listen, *data_dir, *store, *name;
    char *tls_cert, *tls_key, *tls_client_ca;
    char *durability;   /* "power" or "process" */
    char *template_env; /* names, separated by commas */
    char *log_format, *log_level;
    bool insecure_listen, access_log;
    int64_t http_connections;
    int64_t shards, grpc_threads, grpc_streams, grpc_memory;
    int64_t max_request_bytes, max_response_bytes, max_calls, max_streams;
    int64_t drain_wait_ms, drain_grace_ms;
} FlowSettings;

typedef enum FlowSettingsAction {
    FLOW_SETTINGS_SERVE,
    FLOW_SETTINGS_CHECK,   /* --check-config: say whether it would start */
    FLOW_SETTINGS_HELP,    /* --help */
    FLOW_SETTINGS_VERSION, /* --version */
    FLOW_SETTINGS_LIST     /* --list-settings: the table, for tests and completion scripts */
} FlowSettingsAction;

/*
 * Reads flags, environment and file. INVALID_ARGUMENT names the setting, where it came from and what would be
 * right. *ret_settings is to be freed in any case.
 */
FlowStatus flow_settings_read(int argc, char *const *argv, char *const *environment,
                              FlowSettings *ret_settings, FlowSettingsAction *ret_action, FlowError *reterr);
void flow_settings_done(FlowSettings *settings);

void flow_settings_help(FILE *to);
/* "grpc-listen<TAB>default<TAB>help" per line, then "exit<TAB>code<TAB>what". */
void flow_settings_list(FILE *to);

#endif
