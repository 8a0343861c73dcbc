/*
 * flowd - the FlowEngine server. Reads its settings, wires everything up, serves until a signal comes, takes
 * everything down again. The exit codes are in exit.h.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "flowd/exit.h"
#include "flowd/settings.h"
#include "flowd/signals.h"
#include "flowd/wire_up.h"
#include "trial/trial.h"

extern char **environ;

static Flowd flowd;

static void on_signal(unsigned count, void *data)
{
    if (count == 2)
        flowd_hurry(data);
}

static int serve(const FlowSettings *settings)
{
    FlowError error;
    int exit_code;
    if (flowd_up(&flowd, settings, &exit_code, &error) != FLOW_OK) {
        flow_log_error(FLOW_LOG_ERROR, "flowd can't start", &error);
        return exit_code;
    }
    flow_signals_start(on_signal, &flowd);
    flowd_announce(&flowd);
    flow_log(FLOW_LOG_INFO, "flowd serves", FLOW_F_STR("version", FLOW_VERSION),
             FLOW_F_STR("grpc", flow_grpc_server_address(flowd.grpc)),
             FLOW_F_STR("http", flowd.http != NULL ? flow_http_server_address(flowd.http) : "none"),
             FLOW_F_STR("data_dir", settings->data_dir));
    flow_signals_wait();
    flowd_drain(&flowd);
    flowd_down(&flowd);
    bool hurried = flow_signals_count() > 1;
    flow_log(FLOW_LOG_INFO, hurried ? "flowd has ended in a hurry" : "flowd has ended");
    return hurried ? FLOW_EXIT_HURRIED : FLOW_EXIT_OK;
}

static int check(const FlowSettings *settings)
{
    FlowError error;
    if (flowd_check(settings, &error) != FLOW_OK) {
        fprintf(stderr, "flowd: %s\n", error.message);
        return FLOW_EXIT_SETTINGS;
    }
    puts("the settings are good");
    return FLOW_EXIT_OK;
}

int main(int argc, char **argv)
{
    FlowSettings settings;
    FlowSettingsAction action;
    FlowError error;
    int exit_code = FLOW_EXIT_OK;
    if (argc > 1 && strcmp(argv[1], "test") == 0)
        return flow_trial_main(argc - 2, argv + 2);
    flow_signals_block();
    if (flow_settings_read(argc, argv, environ, &settings, &action, &error) != FLOW_OK) {
        fprintf(stderr, "flowd: %s\n", error.message);
        flow_settings_done(&settings);
        return FLOW_EXIT_SETTINGS;
    }
    int level = flow_log_level_from_name(settings.log_level);
    flow_log_setup((FlowLogLevel)level, *settings.log_format == 'j' ? FLOW_LOG_JSON : FLOW_LOG_HUMAN,
                   STDERR_FILENO, flow_clock_real());
    switch (action) {
    case FLOW_SETTINGS_SERVE:
        exit_code = serve(&settings);
        break;
    case FLOW_SETTINGS_CHECK:
        exit_code = check(&settings);
        break;
    case FLOW_SETTINGS_HELP:
        flow_settings_help(stdout);
        break;
    case FLOW_SETTINGS_VERSION:
        puts("flowd " FLOW_VERSION);
        break;
    case FLOW_SETTINGS_LIST:
        flow_settings_list(stdout);
        break;
    }
    flow_settings_done(&settings);
    return exit_code;
}
