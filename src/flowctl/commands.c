#include "flowctl/commands.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "flowctl/output.h"
#include "value/json.h"
#include "wire/json.h"

enum { FILE_MAX = 16 << 20, USAGE = 2 };

struct FlowCommandFlags flow_command_flags;

static int command_run(FlowClient *client, const FlowCommand *command, int argc, char **argv);
static int command_apply(FlowClient *client, const FlowCommand *command, int argc, char **argv);
static int command_call(FlowClient *client, const FlowCommand *command, int argc, char **argv);

const FlowCommand flow_commands[] = {
    {"apply",
     "FILE",
     NULL,
     {NULL},
     1,
     NULL,
     {NULL},
     command_apply,
     "create the workflow in FILE, or update it"},
    {"validate",
     "FILE",
     "WorkflowService/ValidateWorkflow",
     {"=workflow"},
     1,
     "problems",
     {"severity", "code", "nodeId", "edgeId", "field", "message"},
     NULL,
     "say all that is wrong with a workflow; stores nothing"},
    {"workflows",
     "",
     "WorkflowService/ListWorkflows",
     {NULL},
     0,
     "workflows",
     {"id", "name", "revision", "draft", "updateTime"},
     NULL,
     "list workflows"},
    {"workflow",
     "ID",
     "WorkflowService/GetWorkflow",
     {"workflowId"},
     1,
     NULL,
     {NULL},
     NULL,
     "show a workflow"},
    {"analyze",
     "ID",
     "WorkflowService/AnalyzeWorkflow",
     {"workflowId"},
     1,
     NULL,
     {NULL},
     NULL,
     "show its loops, pools and queues"},
    {"delete",
     "ID",
     "WorkflowService/DeleteWorkflow",
     {"workflowId"},
     1,
     NULL,
     {NULL},
     NULL,
     "delete a workflow"},
    {"run",
     "ID|FILE",
     NULL,
     {NULL},
     1,
     NULL,
     {NULL},
     command_run,
     "start a run; a file is applied first; -w watches it"},
    {"runs",
     "[WORKFLOW]",
     "ProductionService/ListRuns",
     {"workflowId"},
     0,
     "runs",
     {"id", "workflowId", "workflowRevision", "state", "createTime", "endTime"},
     NULL,
     "list runs"},
    {"get",
     "RUN",
     "ProductionService/GetRun",
     {"runId"},
     1,
     NULL,
     {NULL},
     NULL,
     "show a run with its loops and nodes"},
    {"watch",
     "RUN",
     "ProductionService/WatchRun",
     {"runId"},
     1,
     NULL,
     {NULL},
     NULL,
     "show what happens in a run"},
    {"stop",
     "RUN",
     "ProductionService/StopRun",
     {"runId"},
     1,
     NULL,
     {NULL},
     NULL,
     "stop a run; --force cancels its units"},
    {"queues",
     "",
     "QueueService/ListQueues",
     {NULL},
     0,
     "queues",
     {"name", "depth", "inFlight", "pushed", "done", "deadLettered", "removed"},
     NULL,
     "list queues"},
    {"queue", "NAME", "QueueService/GetQueue", {"queue"}, 1, NULL, {NULL}, NULL, "show a queue"},
    {"push",
     "QUEUE DATA",
     "QueueService/PushPayloads",
     {"queue", "=payloads"},
     2,
     NULL,
     {NULL},
     NULL,
     "push one payload: a JSON object, a file, or - for standard input"},
    {"peek",
     "QUEUE",
     "QueueService/PeekPayloads",
     {"queue"},
     1,
     "payloads",
     {"deliveryId", "id", "pushTime", "data"},
     NULL,
     "show queued payloads"},
    {"purge",
     "QUEUE",
     "QueueService/PurgeQueue",
     {"queue"},
     1,
     NULL,
     {NULL},
     NULL,
     "remove all that is queued"},
    {"ledger", "", "QueueService/GetLedger", {NULL}, 0, NULL, {NULL}, NULL, "show where every payload is"},
    {"dead-letters",
     "[WORKFLOW]",
     "DeadLetterService/ListDeadLetters",
     {"workflowId"},
     0,
     "deadLetters",
     {"id", "time", "workflowId", "nodeId", "reason", "message"},
     NULL,
     "list dead letters"},
    {"dead-letter",
     "ID",
     "DeadLetterService/GetDeadLetter",
     {"id"},
     1,
     NULL,
     {NULL},
     NULL,
     "show a dead letter"},
    {"node-types",
     "",
     "NodeTypeService/ListNodeTypes",
     {NULL},
     0,
     "nodeTypes",
     {"type", "kind", "pool", "description"},
     NULL,
     "list node types"},
    {"node-type",
     "TYPE",
     "NodeTypeService/GetNodeType",
     {"type"},
     1,
     NULL,
     {NULL},
     NULL,
     "show a node type with its form"},
    {"info", "", "SystemService/GetServerInfo", {NULL}, 0, NULL, {NULL}, NULL, "show the server"},
    {"call",
     "METHOD [JSON]",
     NULL,
     {NULL},
     1,
     NULL,
     {NULL},
     command_call,
     "call any method, such as SystemService/GetServerInfo"},
};
const size_t flow_command_count = FLOW_COUNT(flow_commands);

static int fail(const FlowError *error, const FlowBuf *details)
{
    flow_print_error(error, details);
    return flow_exit_status(error->status);
}

/* ---- calls ---- */

typedef void (*OnAnswer)(void *context, FlowValue answer);

typedef struct Answers {
    const FlowWireMessage *type;
    OnAnswer on_answer;
    void *context;
    FlowError error; /* of an answer that could not be read */
} Answers;

static bool on_message(void *context, const uint8_t *bytes, size_t len)
{
    Answers *answers = context;
    FlowValue value;
    if (flow_message_to_value(flow_wire_contract(), answers->type, bytes, len, FLOW_MESSAGE_WITH_DEFAULTS,
                              &value, &answers->error) != FLOW_OK)
        return false;
    answers->on_answer(answers->context, value);
    flow_value_unref(value);
    return true;
}

/* Prints nothing: the caller decides what an error means. */
static FlowStatus call(FlowClient *client, const char *method, FlowValue request, OnAnswer on_answer,
                       void *context, FlowBuf *details, FlowError *error)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", strchr(method, '.') != NULL ? "" : "flowengine.v1.", method);
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMethod *known = flow_wire_method(pool, name);
    if (known == NULL)
        return flow_error_set(error, FLOW_INVALID_ARGUMENT, NULL, NULL, "there is no method \"%s\"", name);
    FlowBuf bytes;
    flow_buf_init(&bytes, FILE_MAX);
    Answers answers = {known->response, on_answer, context, {.status = FLOW_OK}};
    FlowStatus status = flow_message_from_value(pool, known->request, request, 0, &bytes, error);
    if (status == FLOW_OK)
        status = flow_client_call(client, name, &bytes, on_message, &answers, details, error);
    if (status == FLOW_OK && answers.error.status != FLOW_OK) {
        *error = answers.error;
        status = error->status;
    }
    flow_buf_done(&bytes);
    return status;
}

static void print_answer(void *context, FlowValue answer)
{
    const FlowCommand *command = context;
    const FlowValue *list = command->list != NULL ? flow_object_get(answer, command->list) : NULL;
    const FlowValue *event = flow_object_get(answer, "event");
    size_t count;
    const FlowMember *members = flow_object_members(answer, &count);
    if (list != NULL && !flow_command_flags.json)
        flow_print_table(*list, command->columns);
    else if (event != NULL && !flow_command_flags.json)
        flow_print_event(*event);
    else if (count == 1 && flow_value_kind(members[0].value) == FLOW_VALUE_OBJECT)
        flow_print_json(members[0].value,
                        event != NULL); /* {"run": {...}}: the run itself, as the HTTP door shows it */
    else
        flow_print_json(answer, event != NULL);
}

/* ---- arguments ---- */

static FlowStatus read_text(const char *name, char **ret_text, size_t *ret_len, FlowError *reterr)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (file == NULL)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, name, "can't open \"%s\": %s", name,
                              strerror(errno));
    FlowBuf text;
    flow_buf_init(&text, FILE_MAX);
    char chunk[65536];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        flow_buf_append(&text, chunk, got);
    if (file != stdin)
        fclose(file);
    *ret_text = flow_buf_take(&text, ret_len);
    flow_buf_done(&text);
    if (*ret_text == NULL)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, NULL, name, "\"%s\" is larger than %d bytes",
                              name, FILE_MAX);
    return FLOW_OK;
}

/* JSON as it stands, or the file that holds it. */
static FlowStatus read_json(const char *argument, FlowValue *ret, FlowError *reterr)
{
    flow_cleanup(flow_freep) char *text = NULL;
    size_t len = 0;
    if (argument[0] == '{' || argument[0] == '[') {
        text = flow_strdup(argument);
        len = strlen(text);
    } else {
        FlowStatus status = read_text(argument, &text, &len, reterr);
        if (status != FLOW_OK)
            return status;
    }
    FlowStatus status = flow_json_read(text, len, NULL, ret, reterr);
    if (status != FLOW_OK && reterr != NULL)
        flow_error_within(reterr, argument);
    return status;
}

static FlowStatus set_argument(FlowValue *request, const char *field, const char *argument, FlowError *reterr)
{
    if (field[0] != '=')
        return flow_object_set_take(request, field, flow_value_string(argument), reterr);
    FlowValue value;
    FlowStatus status = read_json(argument, &value, reterr);
    if (status != FLOW_OK)
        return status;
    if (strcmp(field, "=payloads") == 0) {
        FlowValue payload = flow_value_object(), payloads = flow_value_array();
        status = flow_object_set_take(&payload, "data", value, reterr);
        if (status == FLOW_OK)
            status = flow_array_push_take(&payloads, payload, reterr);
        value = payloads;
    }
    if (status == FLOW_OK)
        status = flow_object_set_take(request, field + 1, value, reterr);
    return status;
}

static const char *text_of(FlowValue object, const char *key)
{
    const FlowValue *text = flow_object_get(object, key);
    return text != NULL && flow_value_kind(*text) == FLOW_VALUE_STRING ? flow_value_text(text) : "";
}

static const char *text_in(FlowValue answer, const char *object, const char *key)
{
    const FlowValue *inner = flow_object_get(answer, object);
    return inner != NULL ? text_of(*inner, key) : "";
}

/* --only log,run_state as the names of RunEvent.Kind. */
static FlowStatus add_kinds(FlowValue *request, FlowError *error)
{
    if (flow_command_flags.only == NULL)
        return FLOW_OK;
    flow_cleanup(flow_freep) char *rest = flow_strdup(flow_command_flags.only);
    FlowValue kinds = flow_value_array();
    FlowStatus status = FLOW_OK;
    char *state = NULL;
    for (char *kind = strtok_r(rest, ",", &state); kind != NULL && status == FLOW_OK;
         kind = strtok_r(NULL, ",", &state)) {
        for (char *c = kind; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        status = flow_array_push_take(&kinds, flow_value_string(kind), error);
    }
    if (status == FLOW_OK)
        status = flow_object_set_take(request, "kinds", kinds, error);
    return status;
}

int flow_command_run(FlowClient *client, const FlowCommand *command, int argc, char **argv)
{
    FlowError error = {.status = FLOW_OK};
    FlowBuf details;
    if (argc < command->least_arguments) {
        fprintf(stderr, "flowctl: usage: flowctl %s %s\n", command->name, command->arguments);
        return USAGE;
    }
    if (command->run != NULL)
        return command->run(client, command, argc, argv);
    flow_buf_init(&details, 0);
    FlowValue request = flow_value_object();
    FlowStatus status = FLOW_OK;
    for (int i = 0; i < argc && i < FLOW_COMMAND_ARGS && command->fields[i] != NULL && status == FLOW_OK; i++)
        status = set_argument(&request, command->fields[i], argv[i], &error);
    if (status == FLOW_OK && strcmp(command->name, "watch") == 0)
        status = add_kinds(&request, &error);
    if (status == FLOW_OK && flow_command_flags.force)
        status = flow_object_set_take(&request, "force", flow_value_bool(true), &error);
    if (status == FLOW_OK)
        status = call(client, command->method, request, print_answer, (void *)command, &details, &error);
    flow_value_unref(request);
    int result = status == FLOW_OK ? 0 : fail(&error, &details);
    flow_buf_done(&details);
    return result;
}

static int command_call(FlowClient *client, const FlowCommand *command, int argc, char **argv)
{
    FlowError error = {.status = FLOW_OK};
    FlowBuf details;
    flow_buf_init(&details, 0);
    FlowValue request = flow_value_object();
    FlowStatus status = argc > 1 ? read_json(argv[1], &request, &error) : FLOW_OK;
    flow_command_flags.json = true;
    if (status == FLOW_OK)
        status = call(client, argv[0], request, print_answer, (void *)command, &details, &error);
    flow_value_unref(request);
    int result = status == FLOW_OK ? 0 : fail(&error, &details);
    flow_buf_done(&details);
    return result;
}

/* ---- apply and run ---- */

static void keep_answer(void *context, FlowValue answer)
{
    flow_value_assign_take(context, flow_value_ref(answer));
}

/* Updates the workflow, creates it when there is none of its id. *ret_answer: the response. */
static FlowStatus apply(FlowClient *client, FlowValue workflow, FlowValue *ret_answer, const char **ret_verb,
                        FlowBuf *details, FlowError *error)
{
    FlowValue request = flow_value_object();
    FlowStatus status = flow_object_set_take(&request, "workflow", flow_value_ref(workflow), error);
    *ret_verb = "updated";
    if (status == FLOW_OK)
        status = flow_object_get(workflow, "id") != NULL
                     ? call(client, "WorkflowService/UpdateWorkflow", request, keep_answer, ret_answer,
                            details, error)
                     : FLOW_NOT_FOUND;
    if (status == FLOW_NOT_FOUND) {
        *ret_verb = "created";
        flow_buf_clear(details);
        status =
            call(client, "WorkflowService/CreateWorkflow", request, keep_answer, ret_answer, details, error);
    }
    flow_value_unref(request);
    return status;
}

static int command_apply(FlowClient *client, const FlowCommand *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    FlowError error = {.status = FLOW_OK};
    FlowBuf details;
    FlowValue workflow = flow_value_null(), answer = flow_value_null();
    const char *verb;
    flow_buf_init(&details, 0);
    FlowStatus status = read_json(argv[0], &workflow, &error);
    if (status == FLOW_OK)
        status = apply(client, workflow, &answer, &verb, &details, &error);
    if (status == FLOW_OK)
        printf("workflow %s %s, revision %s\n", text_in(answer, "workflow", "id"), verb,
               text_in(answer, "workflow", "revision"));
    int result = status == FLOW_OK ? 0 : fail(&error, &details);
    flow_value_unref(workflow);
    flow_value_unref(answer);
    flow_buf_done(&details);
    return result;
}

/* The id to start: the argument itself, or that of the workflow in the file, which is applied first. */
static FlowStatus workflow_to_start(FlowClient *client, const char *argument, FlowValue *ret_id,
                                    FlowBuf *details, FlowError *error)
{
    size_t len = strlen(argument);
    if (strchr(argument, '/') == NULL && (len < 5 || strcmp(argument + len - 5, ".json") != 0)) {
        *ret_id = flow_value_string(argument);
        return FLOW_OK;
    }
    FlowValue workflow = flow_value_null(), answer = flow_value_null();
    const char *verb;
    FlowStatus status = read_json(argument, &workflow, error);
    if (status == FLOW_OK)
        status = apply(client, workflow, &answer, &verb, details, error);
    if (status == FLOW_OK)
        *ret_id = flow_value_string(text_in(answer, "workflow", "id"));
    flow_value_unref(workflow);
    flow_value_unref(answer);
    return status;
}

/* The run as an object with `id` and `workflowId`: the one that starts, or the one that is active already. */
static FlowStatus start_or_find(FlowClient *client, FlowValue request, FlowValue *ret_run, FlowBuf *details,
                                FlowError *error)
{
    FlowValue answer = flow_value_null(), query = flow_value_ref(request);
    const FlowValue *run = NULL;
    const char *how = "started";
    FlowStatus status =
        call(client, "ProductionService/StartRun", request, keep_answer, &answer, details, error);
    if (status == FLOW_FAILED_PRECONDITION &&
        flow_object_set_take(&query, "active", flow_value_bool(true), NULL) == FLOW_OK &&
        call(client, "ProductionService/ListRuns", query, keep_answer, &answer, details, NULL) == FLOW_OK) {
        const FlowValue *runs = flow_object_get(answer, "runs");
        run = runs != NULL ? flow_array_at(*runs, 0) : NULL;
        how = "is already active";
    } else if (status == FLOW_OK) {
        run = flow_object_get(answer, "run");
    }
    if (run != NULL) {
        status = FLOW_OK;
        *ret_run = flow_value_ref(*run);
        printf("run %s of workflow %s %s\n", text_of(*run, "id"), text_of(*run, "workflowId"), how);
        fflush(stdout);
    }
    flow_value_unref(answer);
    flow_value_unref(query);
    return status;
}

static FlowStatus watch(FlowClient *client, const FlowCommand *command, FlowValue run, FlowBuf *details,
                        FlowError *error)
{
    FlowValue request = flow_value_object();
    FlowStatus status = flow_object_set_take(&request, "runId", flow_value_string(text_of(run, "id")), error);
    if (status == FLOW_OK)
        status = add_kinds(&request, error);
    if (status == FLOW_OK)
        status = call(client, "ProductionService/WatchRun", request, print_answer, (void *)command, details,
                      error);
    flow_value_unref(request);
    return status;
}

static int command_run(FlowClient *client, const FlowCommand *command, int argc, char **argv)
{
    (void)argc;
    FlowError error = {.status = FLOW_OK};
    FlowBuf details;
    FlowValue request = flow_value_object(), id = flow_value_null(), run = flow_value_null();
    flow_buf_init(&details, 0);
    FlowStatus status = workflow_to_start(client, argv[0], &id, &details, &error);
    if (status == FLOW_OK)
        status = flow_object_set_take(&request, "workflowId", id, &error);
    if (status == FLOW_OK)
        status = start_or_find(client, request, &run, &details, &error);
    if (status == FLOW_OK && flow_command_flags.watch)
        status = watch(client, command, run, &details, &error);
    int result = status == FLOW_OK ? 0 : fail(&error, &details);
    flow_value_unref(request);
    flow_value_unref(run);
    flow_buf_done(&details);
    return result;
}
