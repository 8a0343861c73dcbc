#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "flowengine/v1/worker_service.pb-c.h"
#include "wire/descriptors.h"

static void fields_know_their_rules(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMessage *workflow = flow_wire_message(pool, "flowengine.v1.Workflow");
    const FlowWireField *field = flow_wire_field(workflow, 10);
    assert_string_equal(field->name, "create_time");
    assert_string_equal(field->json_name, "createTime");
    assert_int_equal(field->message->kind, FLOW_WIRE_TIMESTAMP);
    assert_true(field->presence);
    assert_true(field->output_only);
    assert_ptr_equal(flow_wire_field_named(workflow, "createTime", 10), field);
    assert_ptr_equal(flow_wire_field_named(workflow, "create_time", 11), field);
    assert_null(flow_wire_field_named(workflow, "createTim", 9));
    assert_null(flow_wire_field(workflow, 99));
    assert_null(flow_wire_field(workflow, 99999));

    const FlowWireField *labels = flow_wire_field_named(workflow, "labels", 6);
    assert_true(labels->map && labels->repeated);
    assert_true(labels->message->map_entry);
    assert_int_equal(labels->message->fields[0].number, 1);
    assert_true(flow_wire_field_named(workflow, "editor", 6)->fold_unknown);
    assert_int_equal(flow_wire_field_named(workflow, "name", 4)->oneof, -1);
    assert_int_not_equal(strlen(workflow->comment), 0);

    const FlowWireMessage *request = flow_wire_message(pool, "flowengine.v1.AttachRequest");
    assert_string_equal(request->oneofs[flow_wire_field(request, 1)->oneof], "message");
    assert_true(flow_wire_field(request, 1)->presence);
    assert_true(
        flow_wire_field_named(flow_wire_message(pool, "flowengine.v1.GetRunRequest"), "runId", 5)->required);
}

static void methods_know_their_rules(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMethod *create = flow_wire_method(pool, "flowengine.v1.WorkflowService/CreateWorkflow");
    assert_int_equal(create->http_count, 1);
    assert_string_equal(create->http[0].verb, "POST");
    assert_string_equal(create->http[0].path, "/v1/workflows");
    assert_string_equal(create->http[0].body, "workflow");
    assert_string_equal(create->http[0].response_body, "workflow");
    assert_string_equal(create->path, "/flowengine.v1.WorkflowService/CreateWorkflow");
    assert_false(create->client_streaming || create->server_streaming);
    const FlowWireMethod *watch = flow_wire_method(pool, "flowengine.v1.ProductionService/WatchRun");
    assert_true(watch->server_streaming && !watch->client_streaming);
    assert_string_not_equal(watch->cursor_field, "");
    const FlowWireMethod *attach = flow_wire_method(pool, "flowengine.v1.WorkerService/Attach");
    assert_true(attach->server_streaming && attach->client_streaming);
    assert_null(flow_wire_method(pool, "flowengine.v1.WorkerService/Detach"));
}

/* A service that src/wire/contract.c doesn't list has no generated code. */
static void every_method_has_generated_code(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    assert_in_range(flow_wire_service_count(pool), 12, 1000);
    for (size_t i = 0; i < flow_wire_service_count(pool); i++) {
        const FlowWireService *service = flow_wire_service_at(pool, i);
        for (size_t m = 0; m < service->method_count; m++) {
            if (service->methods[m].request->c == NULL || service->methods[m].response->c == NULL)
                fail_msg("%s is not joined: list its service in src/wire/contract.c",
                         service->methods[m].full_name);
            assert_string_equal(service->methods[m].request->c->name, service->methods[m].request->full_name);
        }
    }
}

static void symbols_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *symbol, *file;
    } rows[] = {
        {"flowengine.v1.Workflow", "flowengine/v1/workflow.proto"},
        {"flowengine.v1.Workflow.name", "flowengine/v1/workflow.proto"},
        {"flowengine.v1.Workflow.LabelsEntry", "flowengine/v1/workflow.proto"},
        {"flowengine.v1.Run.State", "flowengine/v1/run.proto"},
        {"flowengine.v1.Run.RUNNING", "flowengine/v1/run.proto"},
        {"flowengine.v1.AttachRequest.message", "flowengine/v1/worker_service.proto"},
        {"flowengine.v1.WorkflowService", "flowengine/v1/workflow_service.proto"},
        {"flowengine.v1.WorkflowService.GetWorkflow", "flowengine/v1/workflow_service.proto"},
        {"google.protobuf.NULL_VALUE", "google/protobuf/struct.proto"},
        {"google.api.http", "google/api/annotations.proto"},
        {"grpc.health.v1.Health.Check", "grpc/health/v1/health.proto"},
        {"flowengine.v1.Nothing", NULL},
        {"flowengine.v1.Workflow.nothing", NULL},
        {"", NULL},
        {".", NULL},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        const FlowWireFile *file = flow_wire_file_of_symbol(flow_wire_contract(), rows[i].symbol);
        if (rows[i].file == NULL)
            assert_null(file);
        else if (file == NULL)
            fail_msg("%s is not found", rows[i].symbol);
        else
            assert_string_equal(file->name, rows[i].file);
    }
    const FlowWirePool *pool = flow_wire_contract();
    assert_string_equal(flow_wire_file_of_extension(pool, "google.protobuf.MethodOptions", 72295728)->name,
                        "google/api/annotations.proto");
    assert_null(flow_wire_file_of_extension(pool, "google.protobuf.MethodOptions", 1));
    int32_t numbers[8];
    assert_int_equal(flow_wire_extensions_of(pool, "google.protobuf.MethodOptions", numbers, 8), 2);
    assert_int_equal(numbers[0], 51231);
    assert_int_equal(numbers[1], 72295728);
    assert_int_equal(flow_wire_extensions_of(pool, "flowengine.v1.Workflow", numbers, 8), 0);
}

static void every_import_is_there(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    for (size_t i = 0; i < flow_wire_file_count(pool); i++) {
        const FlowWireFile *file = flow_wire_file_at(pool, i);
        for (size_t k = 0; k < file->import_count; k++)
            assert_non_null(flow_wire_file(pool, file->imports[k]));
    }
}

static void torn_sets_are_refused(void **state)
{
    (void)state;
    const FlowWireFile *first = flow_wire_file_at(flow_wire_contract(), 0);
    const FlowWireFile *last =
        flow_wire_file_at(flow_wire_contract(), flow_wire_file_count(flow_wire_contract()) - 1);
    const uint8_t *set = first->bytes - 4; /* somewhere before the first file's content: its tag and length */
    while (set[0] != 0x0a)
        set++;
    size_t len = (size_t)(last->bytes + last->len - set);
    for (size_t cut = 1; cut < len; cut += len / 97) {
        FlowWirePool *pool = NULL;
        FlowError error;
        FlowStatus status = flow_wire_pool_new(set, len - cut, &pool, &error);
        assert_true(status == FLOW_OK ? pool != NULL : status == FLOW_INTERNAL && pool == NULL);
        flow_wire_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_know_their_rules),         cmocka_unit_test(methods_know_their_rules),
        cmocka_unit_test(every_method_has_generated_code), cmocka_unit_test(symbols_are_found),
        cmocka_unit_test(every_import_is_there),           cmocka_unit_test(torn_sets_are_refused),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
