#include "flowd/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "flowd/exit.h"

typedef enum Kind { TEXT, CHOICE, NUMBER, SIZE, DURATION, SWITCH } Kind;
typedef enum Source { DEFAULT, FILE_LINE, ENVIRONMENT, FLAG } Source;

typedef struct Setting {
    const char *name;
    Kind kind;
    const char *value; /* what --help calls it; of a CHOICE the words, separated by "|" */
    const char *standard;
    int64_t least, most; /* of numbers, in the unit that is stored: bytes, ms */
    size_t offset;
    const char *help;
} Setting;

#define AT(member) offsetof(FlowSettings, member)
#define KIB        INT64_C(1024)

/* clang-format off */
static const Setting table[] = {
    {"config", TEXT, "FILE", "", 0, 0, AT(config),
     "Read settings from this file: `name = value` lines, # begins a comment."},
    {"grpc-listen", TEXT, "ADDRESS", "127.0.0.1:50051", 0, 0, AT(grpc_listen),
     "Where gRPC is served: HOST:PORT, [IPV6]:PORT, unix:/PATH; several separated by commas. Port 0 takes a free one."},
    {"http-listen", TEXT, "ADDRESS", "127.0.0.1:8080", 0, 0, AT(http_listen),
     "Where HTTP is served. The same forms; \"none\" for no HTTP."},
    {"http-origins", TEXT, "ORIGINS", "", 0, 0, AT(http_origins),
     "Web pages of other origins that may call over HTTP and WebSocket: https://console.example; several separated by commas."},
    {"http-hosts", TEXT, "NAMES", "", 0, 0, AT(http_hosts),
     "Names under which clients may ask for this server, besides addresses and localhost, such as those of a proxy in front."},
    {"http-connections", NUMBER, "N", "10000", 1, 1000000, AT(http_connections),
     "HTTP connections at a time; for one more, the one that is idle longest is closed."},
    {"data-dir", TEXT, "DIR", "./flow-data", 0, 0, AT(data_dir),
     "Directory of the embedded store; made when missing. One server at a time."},
    {"store", TEXT, "URL", "sqlite", 0, 0, AT(store),
     "The store: \"sqlite\" is the embedded one in the data directory, sqlite:PATH one elsewhere."},
    {"durability", CHOICE, "power|process", "power", 0, 0, AT(durability),
     "What an accepted change survives: the loss of power (each commit is flushed to the disk), or only the end of the process."},
    {"template-env", TEXT, "NAMES", "", 0, 0, AT(template_env),
     "Environment variables that templates may read as `env.NAME`, separated by commas. No others are seen."},
    {"name", TEXT, "NAME", "", 0, 0, AT(name),
     "Name of this server; the host's name if not given."},
    {"tls-cert", TEXT, "FILE", "", 0, 0, AT(tls_cert),
     "Certificate chain (PEM). With it, TCP listeners speak TLS. Changed files are used for new connections."},
    {"tls-key", TEXT, "FILE", "", 0, 0, AT(tls_key),
     "The certificate's private key (PEM, no passphrase)."},
    {"tls-client-ca", TEXT, "FILE", "", 0, 0, AT(tls_client_ca),
     "Let in only clients whose certificate is signed by one of these CAs (PEM)."},
    {"insecure-listen", SWITCH, "", "false", 0, 0, AT(insecure_listen),
     "Allow listeners that other machines can reach in clear text."},
    {"log-format", CHOICE, "human|json", "human", 0, 0, AT(log_format),
     "Form of the log lines on standard error."},
    {"log-level", CHOICE, "debug|info|warning|error", "info", 0, 0, AT(log_level),
     "Least level that is logged."},
    {"access-log", SWITCH, "", "false", 0, 0, AT(access_log),
     "Log a line for every HTTP request."},
    {"shards", NUMBER, "N", "0", 0, 256, AT(shards),
     "Event loops of the engine; 0 is one per core."},
    {"grpc-threads", NUMBER, "N", "0", 0, 64, AT(grpc_threads),
     "Threads of the gRPC door; 0 is 1, or 16 where other machines can reach it."},
    {"grpc-streams", NUMBER, "N", "256", 1, 100000, AT(grpc_streams),
     "Calls and streams of one gRPC connection at a time."},
    {"grpc-memory", SIZE, "BYTES", "128M", 16 * KIB * KIB, 1024 * KIB * KIB * KIB, AT(grpc_memory),
     "Memory that the gRPC transport may use for what is on its way."},
    {"max-request-bytes", SIZE, "BYTES", "4M", KIB, KIB * KIB * KIB, AT(max_request_bytes),
     "Largest request message."},
    {"max-response-bytes", SIZE, "BYTES", "16M", KIB, KIB * KIB * KIB, AT(max_response_bytes),
     "Largest answer."},
    {"max-calls", NUMBER, "N", "4096", 1, 1000000, AT(max_calls),
     "Calls in flight; more are answered RESOURCE_EXHAUSTED."},
    {"max-streams", NUMBER, "N", "4096", 1, 1000000, AT(max_streams),
     "Streams in flight; more are answered RESOURCE_EXHAUSTED."},
    {"drain-wait", DURATION, "TIME", "0s", 0, 3600000, AT(drain_wait_ms),
     "After SIGTERM: how long to say \"not ready\" and still serve, so that load balancers look elsewhere."},
    {"drain-grace", DURATION, "TIME", "10s", 0, 3600000, AT(drain_grace_ms),
     "Then: how long calls may go on before they are cancelled."},
};

static const struct {
    const char *name;
    FlowSettingsAction action;
    const char *help;
} actions[] = {
    {"check-config", FLOW_SETTINGS_CHECK, "Say whether the settings are good, and end."},
    {"list-settings", FLOW_SETTINGS_LIST, "Print settings and exit codes for programs, and end."},
    {"version", FLOW_SETTINGS_VERSION, "Print the version, and end."},
    {"help", FLOW_SETTINGS_HELP, "Print this, and end."},
};
/* clang-format on */

typedef struct Reader {
    FlowSettings *settings;
    Source sources[FLOW_COUNT(table)];
    FlowError *reterr;
} Reader;

/* ----------------------------------------------------------------------------------------- values */

static FlowStatus refuse(Reader *self, const Setting *setting, const char *where, const char *text,
                         const char *what)
{
    return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, setting->name,
                          "%s: \"%s\" is no %s for %s", where, text, what, setting->name);
}

static bool is_choice(const char *words, const char *text)
{
    size_t len = strlen(text);
    for (const char *word = words; len != 0; word++) {
        const char *end = strchrnul(word, '|');
        if ((size_t)(end - word) == len && memcmp(word, text, len) == 0)
            return true;
        if (*end == '\0')
            return false;
        word = end;
    }
    return false;
}

/* Factor of a unit behind a number; 0 when there is no such unit. */
static int64_t factor_of(Kind kind, const char *unit)
{
    static const struct {
        Kind kind;
        const char *unit;
        int64_t factor;
    } units[] = {
        {NUMBER, "", 1},
        {SIZE, "", 1},
        {SIZE, "K", KIB},
        {SIZE, "M", KIB * KIB},
        {SIZE, "G", KIB * KIB * KIB},
        {DURATION, "ms", 1},
        {DURATION, "s", 1000},
        {DURATION, "m", 60000},
        {DURATION, "h", 3600000},
    };
    for (size_t i = 0; i < FLOW_COUNT(units); i++)
        if (units[i].kind == kind && strcmp(units[i].unit, unit) == 0)
            return units[i].factor;
    return 0;
}

static FlowStatus set_number(Reader *self, const Setting *setting, const char *text, const char *where)
{
    char *end, what[160];
    int64_t number = 0;
    errno = 0;
    long long digits = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : 0;
    int64_t factor = isdigit((unsigned char)*text) && errno == 0 ? factor_of(setting->kind, end) : 0;
    if (factor == 0 || __builtin_mul_overflow(digits, factor, &number) || number < setting->least ||
        number > setting->most) {
        snprintf(what, sizeof what, "%s from %lld to %lld%s",
                 setting->kind == SIZE       ? "size (bytes, or with K, M, G)"
                 : setting->kind == DURATION ? "time (with ms, s, m, h)"
                                             : "number",
                 (long long)setting->least, (long long)setting->most, setting->kind == DURATION ? " ms" : "");
        return refuse(self, setting, where, text, what);
    }
    *(int64_t *)(void *)((char *)self->settings + setting->offset) = number;
    return FLOW_OK;
}

static FlowStatus set(Reader *self, const Setting *setting, const char *text, Source source,
                      const char *where)
{
    char *member = (char *)self->settings + setting->offset;
    Source *was = &self->sources[setting - table];
    if (*was > source)
        return FLOW_OK;
    *was = source;
    switch (setting->kind) {
    case CHOICE:
        if (!is_choice(setting->value, text))
            return refuse(self, setting, where, text, setting->value);
        __attribute__((fallthrough));
    case TEXT:
        free(*(char **)(void *)member);
        *(char **)(void *)member = flow_strdup(text);
        return FLOW_OK;
    case SWITCH:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return refuse(self, setting, where, text, "true or false");
        *(bool *)(void *)member = *text == 't';
        return FLOW_OK;
    case NUMBER:
    case SIZE:
    case DURATION:
        return set_number(self, setting, text, where);
    }
    return FLOW_OK;
}

/* ---------------------------------------------------------------------------------------- sources */

static const Setting *find(const char *name, size_t len)
{
    for (size_t i = 0; i < FLOW_COUNT(table); i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}

static FlowStatus unknown(Reader *self, const char *where, const char *name, size_t len)
{
    const char *names[FLOW_COUNT(table) + FLOW_COUNT(actions)];
    size_t count = 0;
    for (size_t i = 0; i < FLOW_COUNT(table); i++)
        names[count++] = table[i].name;
    for (size_t i = 0; i < FLOW_COUNT(actions); i++)
        names[count++] = actions[i].name;
    const char *near = flow_nearest_name(name, len, names, count);
    return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
                          "%s: there is no setting \"%.*s\"%s%s%s", where, (int)(len < 100 ? len : 100), name,
                          near != NULL ? ": did you mean \"" : "",
                          near != NULL ? near : ". flowd --help lists all", near != NULL ? "\"?" : "");
}

static FlowStatus read_flags(Reader *self, int argc, char *const *argv, FlowSettingsAction *ret_action)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strncmp(flag, "--", 2) != 0)
            return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
                                  "\"%s\" is no flag: flags begin with --, flowd --help lists them", flag);
        const char *equals = strchr(flag, '=');
        const char *name = flag + 2;
        size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
        bool is_action = false;
        for (size_t a = 0; a < FLOW_COUNT(actions) && equals == NULL; a++)
            if (strcmp(actions[a].name, name) == 0) {
                *ret_action = actions[a].action;
                is_action = true;
            }
        if (is_action)
            continue;
        const Setting *setting = find(name, len);
        if (setting == NULL)
            return unknown(self, "command line", name, len);
        const char *value = equals != NULL ? equals + 1 : setting->kind == SWITCH ? "true" : NULL;
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL)
            return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, setting->name,
                                  "--%s wants a value: --%s %s", setting->name, setting->name,
                                  setting->value);
        FlowStatus status = set(self, setting, value, FLAG, "command line");
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static FlowStatus read_environment(Reader *self, char *const *environment)
{
    static const char prefix[] = "FLOWD_";
    for (; *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || strncmp(*environment, prefix, sizeof prefix - 1) != 0)
            continue;
        char name[64], where[80];
        const char *from = *environment + sizeof prefix - 1;
        size_t len = 0;
        for (; from < equals && len < sizeof name - 1; from++)
            name[len++] = *from == '_' ? '-' : (char)tolower((unsigned char)*from);
        snprintf(where, sizeof where, "variable %.*s",
                 (int)(equals - *environment < 60 ? equals - *environment : 60), *environment);
        const Setting *setting = find(name, len);
        if (setting == NULL) {
            /* No error: Kubernetes makes such variables for every service that is called flowd. */
            flow_log(FLOW_LOG_WARNING,
                     "an environment variable looks like a setting, but there is none of that name",
                     FLOW_F_STRN("variable", *environment, (size_t)(equals - *environment)));
            continue;
        }
        FlowStatus status = set(self, setting, equals + 1, ENVIRONMENT, where);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

static FlowStatus read_line(Reader *self, char *line, const char *where)
{
    line = trimmed(line);
    if (*line == '\0' || *line == '#')
        return FLOW_OK;
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, NULL, "%s: a line is `name = value`",
                              where);
    *equals = '\0';
    const char *name = trimmed(line);
    const Setting *setting = find(name, strlen(name));
    if (setting == NULL)
        return unknown(self, where, name, strlen(name));
    if (setting->offset == AT(config))
        return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, "config",
                              "%s: a configuration file can't name another one", where);
    return set(self, setting, trimmed(equals + 1), FILE_LINE, where);
}

static FlowStatus read_file(Reader *self)
{
    const char *path = self->settings->config;
    if (*path == '\0')
        return FLOW_OK;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return flow_error_set(self->reterr, FLOW_INVALID_ARGUMENT, NULL, "config",
                              "the configuration file \"%s\" can't be read: %s", path, strerror(errno));
    char *line = NULL, where[300];
    size_t size = 0;
    FlowStatus status = FLOW_OK;
    for (unsigned number = 1; status == FLOW_OK && getline(&line, &size, file) >= 0; number++) {
        snprintf(where, sizeof where, "%.250s:%u", path, number);
        status = read_line(self, line, where);
    }
    free(line);
    fclose(file);
    return status;
}

static FlowStatus check(const FlowSettings *settings, FlowError *reterr)
{
    if ((*settings->tls_cert != '\0') != (*settings->tls_key != '\0'))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, "tls-key",
                              "tls-cert and tls-key belong together: give both or neither");
    if (*settings->tls_client_ca != '\0' && *settings->tls_cert == '\0')
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, "tls-client-ca",
                              "tls-client-ca is of no use without tls-cert and tls-key");
    return FLOW_OK;
}

FlowStatus flow_settings_read(int argc, char *const *argv, char *const *environment,
                              FlowSettings *ret_settings, FlowSettingsAction *ret_action, FlowError *reterr)
{
    Reader reader = {.settings = ret_settings, .reterr = reterr};
    FlowStatus status = FLOW_OK;
    memset(ret_settings, 0, sizeof *ret_settings);
    *ret_action = FLOW_SETTINGS_SERVE;
    for (size_t i = 0; i < FLOW_COUNT(table) && status == FLOW_OK; i++)
        status = set(&reader, &table[i], table[i].standard, DEFAULT, "default");
    if (status == FLOW_OK)
        status = read_flags(&reader, argc, argv, ret_action);
    /* Who asks for help should get it, whatever else is wrong. */
    if (*ret_action == FLOW_SETTINGS_HELP || *ret_action == FLOW_SETTINGS_VERSION ||
        *ret_action == FLOW_SETTINGS_LIST)
        return FLOW_OK;
    if (status == FLOW_OK)
        status = read_environment(&reader, environment);
    if (status == FLOW_OK)
        status = read_file(&reader);
    return status == FLOW_OK ? check(ret_settings, reterr) : status;
}

void flow_settings_done(FlowSettings *settings)
{
    for (size_t i = 0; i < FLOW_COUNT(table); i++)
        if (table[i].kind == TEXT || table[i].kind == CHOICE)
            free(*(char **)(void *)((char *)settings + table[i].offset));
    memset(settings, 0, sizeof *settings);
}

/* ------------------------------------------------------------------------------------------- help */

/* Breaks the text into lines that begin in the 7th column. */
static void print_wrapped(FILE *to, const char *text)
{
    enum { INDENT = 6, WIDTH = 92 };
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column == 0 || column + 1 + word > WIDTH) {
            fprintf(to, "%s%*s", column == 0 ? "" : "\n", INDENT, "");
            column = INDENT;
        } else {
            fputc(' ', to);
            column++;
        }
        fwrite(text, 1, word, to);
        column += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', to);
}

void flow_settings_help(FILE *to)
{
    fputs("flowd - the FlowEngine server\n\n"
          "Usage: flowd [--SETTING VALUE]...\n       flowd test FILE...    (runs workflow tests: flowd test "
          "--help)\n\n"
          "Each setting is also an environment variable (--grpc-listen: FLOWD_GRPC_LISTEN) and a line\n"
          "`grpc-listen = VALUE` of the configuration file. Flags win over the environment, that over the "
          "file.\n\n"
          "Settings:\n",
          to);
    for (size_t i = 0; i < FLOW_COUNT(table); i++) {
        const Setting *setting = &table[i];
        fprintf(to, "  --%s%s%s", setting->name, *setting->value != '\0' ? " " : "", setting->value);
        if (*setting->standard != '\0' && setting->kind != SWITCH)
            fprintf(to, " (%s)", setting->standard);
        fputc('\n', to);
        print_wrapped(to, setting->help);
    }
    fputs("\nInstead of serving:\n", to);
    for (size_t i = 0; i < FLOW_COUNT(actions); i++)
        fprintf(to, "  --%-14s %s\n", actions[i].name, actions[i].help);
    fputs("\nWhen it serves, it prints one line: ready grpc=ADDRESS http=ADDRESS. SIGTERM or SIGINT ends it "
          "in order,\n"
          "a second one at once.\n\nExit codes:\n",
          to);
#define X(name, code, what) fprintf(to, "  %d  %s\n", code, what);
    FLOW_EXIT_MAP(X)
#undef X
}

void flow_settings_list(FILE *to)
{
    for (size_t i = 0; i < FLOW_COUNT(table); i++)
        fprintf(to, "setting\t%s\t%s\t%s\t%s\n", table[i].name, table[i].value, table[i].standard,
                table[i].help);
#define X(name, code, what) fprintf(to, "exit\t%d\t%s\n", code, what);
    FLOW_EXIT_MAP(X)
#undef X
}
