/* flowctl - FlowEngine from the command line, over gRPC. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "flowctl/client.h"
#include "flowctl/commands.h"
#include "flowctl/output.h"

enum { USAGE = 2, OPTION_CA = 256, OPTION_CERT, OPTION_KEY, OPTION_FORCE, OPTION_ONLY, OPTION_VERSION };

static void print_help(void)
{
    puts("Usage: flowctl [OPTIONS] COMMAND [ARGUMENTS]\n");
    for (size_t i = 0; i < flow_command_count; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "%s %s", flow_commands[i].name, flow_commands[i].arguments);
        printf("  %-24s %s\n", usage, flow_commands[i].summary);
    }
    puts("\nOptions:\n"
         "  -s, --server ADDRESS     flowd's gRPC address (FLOW_SERVER; default 127.0.0.1:50051; unix:PATH)\n"
         "      --tls-ca FILE        certificate authority of the server; turns TLS on\n"
         "      --tls-cert FILE      certificate of this client, with --tls-key FILE\n"
         "  -t, --timeout SECONDS    of one call (default 30; watching: none)\n"
         "  -j, --json               lists as JSON\n"
         "  -w, --watch              run: show what happens\n"
         "      --only KINDS         watching: only these events, such as log,run_state,dead_lettered\n"
         "      --force              stop: cancel the current units; delete: although it runs\n"
         "  -h, --help               this text\n"
         "      --version            the version\n\n"
         "Exit status: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 wrong state or conflict, 6 "
         "invalid,\n"
         "7 server unreachable, 8 timed out.");
}

static const FlowCommand *find_command(const char *name)
{
    const char *names[64];
    for (size_t i = 0; i < flow_command_count; i++) {
        names[i] = flow_commands[i].name;
        if (strcmp(name, names[i]) == 0)
            return &flow_commands[i];
    }
    const char *nearest = flow_nearest_name(name, strlen(name), names, flow_command_count);
    fprintf(stderr, "flowctl: there is no command \"%s\"%s%s%s; flowctl --help lists them\n", name,
            nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "");
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"server", required_argument, NULL, 's'},
        {"tls-ca", required_argument, NULL, OPTION_CA},
        {"tls-cert", required_argument, NULL, OPTION_CERT},
        {"tls-key", required_argument, NULL, OPTION_KEY},
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"watch", no_argument, NULL, 'w'},
        {"force", no_argument, NULL, OPTION_FORCE},
        {"only", required_argument, NULL, OPTION_ONLY},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    const char *from_environment = getenv("FLOW_SERVER");
    FlowClientOptions options = {.server = from_environment != NULL ? from_environment : "127.0.0.1:50051",
                                 .timeout_s = -1};
    for (int c; (c = getopt_long(argc, argv, "s:t:jwh", long_options, NULL)) != -1;) {
        switch (c) {
        case 's':
            options.server = optarg;
            break;
        case 't':
            options.timeout_s = atof(optarg);
            break;
        case 'j':
            flow_command_flags.json = true;
            break;
        case 'w':
            flow_command_flags.watch = true;
            break;
        case OPTION_CA:
            options.tls_ca = optarg;
            break;
        case OPTION_CERT:
            options.tls_cert = optarg;
            break;
        case OPTION_KEY:
            options.tls_key = optarg;
            break;
        case OPTION_FORCE:
            flow_command_flags.force = true;
            break;
        case OPTION_ONLY:
            flow_command_flags.only = optarg;
            break;
        case OPTION_VERSION:
            puts("flowctl " FLOW_VERSION);
            return 0;
        case 'h':
            print_help();
            return 0;
        default:
            fputs("flowctl: flowctl --help says what there is\n", stderr);
            return USAGE;
        }
    }
    if (optind == argc) {
        print_help();
        return USAGE;
    }
    const FlowCommand *command = find_command(argv[optind]);
    if (command == NULL)
        return USAGE;
    /* Who watches has no deadline unless one was asked for. */
    bool watches = strcmp(command->name, "watch") == 0 || flow_command_flags.watch;
    if (options.timeout_s < 0)
        options.timeout_s = watches ? 0 : 30;

    FlowClient *client;
    FlowError error;
    if (flow_client_open(&options, &client, &error) != FLOW_OK) {
        fprintf(stderr, "flowctl: %s\n", error.message);
        return USAGE;
    }
    int result = flow_command_run(client, command, argc - optind - 1, argv + optind + 1);
    flow_client_close(client);
    return result;
}
