/* The registry of node types: what it refuses, what it finds, and that threads may use it at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/registry.h"
#include "forms/spec.h"

static FlowNodeOutcome start(FlowNodeCall *call)
{
    (void)call;
    return FLOW_NODE_DONE;
}

static FlowStatus no_branches(FlowValue form_values, FlowNodeBranches *branches, FlowError *reterr)
{
    (void)form_values;
    (void)branches;
    (void)reterr;
    return FLOW_OK;
}

#define GOOD .summary = "For tests.", .version = 1, .kind = FLOW_NODE_BLOCKING, .start = start

static const FlowNodeBranch yes_no[] = {{"yes", ""}, {"no", ""}, {NULL, NULL}};
static const FlowNodeBranch twice[] = {{"yes", ""}, {"Yes", ""}, {NULL, NULL}};
static const FlowNodeBranch empty[] = {{"", ""}, {NULL, NULL}};
static const FlowNodeBranch only_body[] = {{"body", ""}, {NULL, NULL}};
static const FlowFieldSpec two_alike[] = {{.name = "a", .type = FLOW_FIELD_TEXT},
                                          {.name = "a", .type = FLOW_FIELD_TEXT}};
static const FlowFormSpec bad_form = {.fields = two_alike, .field_count = 2};
static const FlowFieldSpec in_a_circle[] = {
    {.name = "a", .type = FLOW_FIELD_CHOICE, .parents = {"b"}},
    {.name = "b", .type = FLOW_FIELD_CHOICE, .parents = {"a"}},
};
static void load(FlowChoicesRequest *request)
{
    (void)request;
}
static const FlowFormSpec circular_form = {.fields = in_a_circle, .field_count = 2, .load_choices = load};

typedef struct Row {
    const char *name;
    FlowNodeType type;
    const char *wanted; /* part of the message; NULL: it is fine */
} Row;

static const Row rows[] = {
    {"the least", {.name = "a", GOOD}, NULL},
    {"digits and hyphens", {.name = "http2-get", GOOD}, NULL},
    {"no name", {.name = NULL, GOOD}, "the name must be"},
    {"an empty name", {.name = "", GOOD}, "the name must be"},
    {"upper case", {.name = "Counter", GOOD}, "the name must be"},
    {"an underscore", {.name = "a_b", GOOD}, "the name must be"},
    {"a hyphen at the end", {.name = "a-", GOOD}, "the name must be"},
    {"two hyphens", {.name = "a--b", GOOD}, "the name must be"},
    {"a digit first", {.name = "2a", GOOD}, "the name must be"},
    {"65 bytes",
     {.name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", GOOD},
     "the name must be"},
    {"no summary", {.name = "a", .version = 1, .kind = FLOW_NODE_BLOCKING, .start = start}, "summary"},
    {"no version",
     {.name = "a", .summary = "x", .kind = FLOW_NODE_BLOCKING, .start = start},
     "versions begin"},
    {"no start", {.name = "a", .summary = "x", .version = 1, .kind = FLOW_NODE_BLOCKING}, "start()"},
    {"a kind that is none",
     {.name = "a", .summary = "x", .version = 1, .kind = 9, .start = start},
     "outside"},
    {"a conditional without branches",
     {.name = "a", .summary = "x", .version = 1, .kind = FLOW_NODE_CONDITIONAL, .start = start},
     "needs branches"},
    {"a conditional",
     {.name = "a",
      .summary = "x",
      .version = 1,
      .kind = FLOW_NODE_CONDITIONAL,
      .start = start,
      .branches = yes_no},
     NULL},
    {"two branches of one name", {.name = "a", GOOD, .branches = twice}, "two branches"},
    {"a branch without name", {.name = "a", GOOD, .branches = empty}, "1 to 128 bytes"},
    {"own branches without a function", {.name = "a", GOOD, .flags = FLOW_NODE_OWN_BRANCHES}, "go together"},
    {"a function without own branches", {.name = "a", GOOD, .branches_of = no_branches}, "go together"},
    {"a reader that is no producer", {.name = "a", GOOD, .flags = FLOW_NODE_READS_QUEUE}, "only a producer"},
    {"a writer that blocks", {.name = "a", GOOD, .flags = FLOW_NODE_WRITES_QUEUE}, "only a non-blocking"},
    {"a for-each without default",
     {.name = "a", GOOD, .flags = FLOW_NODE_FOR_EACH, .branches = only_body},
     "for-each"},
    {"a form with two fields of one name", {.name = "a", GOOD, .form = &bad_form}, ""},
    {"fields that depend on each other", {.name = "a", GOOD, .form = &circular_form}, ""},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowRegistry *registry = flow_registry_new();
    FlowError error = {0};
    FlowStatus status = flow_registry_add(registry, &row->type, &error);
    if (row->wanted) {
        assert_int_equal(status, FLOW_INVALID_ARGUMENT);
        if (!strstr(error.message, row->wanted))
            fail_msg("%s", error.message);
    } else if (status != FLOW_OK) {
        fail_msg("%s", error.message);
    }
    size_t count;
    free(flow_registry_list(registry, &count));
    assert_int_equal(count, row->wanted ? 0 : 1);
    flow_registry_free(registry);
}

static void test_find(void **state)
{
    (void)state;
    static const FlowNodeType counter = {.name = "counter", GOOD}, timer = {.name = "timer", GOOD},
                              other = {.name = "counter", GOOD};
    FlowRegistry *registry = flow_registry_new();
    FlowError error;
    assert_int_equal(flow_registry_add(registry, &timer, NULL), FLOW_OK);
    assert_int_equal(flow_registry_add(registry, &counter, NULL), FLOW_OK);
    assert_int_equal(flow_registry_add(registry, &other, &error), FLOW_ALREADY_EXISTS);
    assert_ptr_equal(flow_registry_find(registry, "counter", 7), &counter);
    assert_null(flow_registry_find(registry, "counte", 6));
    assert_string_equal(flow_registry_nearest(registry, "countr", 6), "counter");
    assert_null(flow_registry_nearest(registry, "zebra", 5));
    size_t count;
    const FlowNodeType **list = flow_registry_list(registry, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(list[0], &counter);
    assert_ptr_equal(list[1], &timer);
    free(list);
    /* Removed, the name is free; whoever holds the old type still gets its schema. */
    assert_true(flow_registry_remove(registry, "counter"));
    assert_false(flow_registry_remove(registry, "counter"));
    assert_null(flow_registry_find(registry, "counter", 7));
    assert_int_equal(flow_registry_add(registry, &other, NULL), FLOW_OK);
    assert_ptr_equal(flow_registry_find(registry, "counter", 7), &other);
    assert_null(flow_registry_schema(registry, &counter));
    flow_registry_free(registry);
}

static void test_schema(void **state)
{
    (void)state;
    static const FlowFieldSpec one[] = {{.name = "a", .type = FLOW_FIELD_TEXT}};
    static const FlowFormSpec form = {.fields = one, .field_count = 1};
    static const FlowNodeType type = {.name = "a", GOOD, .form = &form};
    FlowRegistry *registry = flow_registry_new();
    assert_int_equal(flow_registry_add(registry, &type, NULL), FLOW_OK);
    const FlowFormSchema *schema = flow_registry_schema(registry, &type);
    assert_int_equal(flow_form_schema_count(schema), 1);
    flow_registry_remove(registry, "a");
    assert_ptr_equal(flow_registry_schema(registry, &type), schema);
    flow_registry_free(registry);
}

/* ---- threads ---- */

enum { ROUNDS = 500 };

static void *look_around(void *data)
{
    FlowRegistry *registry = data;
    for (int i = 0; i < ROUNDS; i++) {
        size_t count;
        const FlowNodeType **list = flow_registry_list(registry, &count);
        for (size_t t = 0; t < count; t++)
            (void)flow_registry_schema(registry, list[t]);
        free(list);
        const FlowNodeType *found = flow_registry_find(registry, "steady", 6);
        if (!found)
            abort();
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const FlowNodeType steady = {.name = "steady", GOOD}, fleeting = {.name = "fleeting", GOOD};
    FlowRegistry *registry = flow_registry_new();
    assert_int_equal(flow_registry_add(registry, &steady, NULL), FLOW_OK);
    pthread_t threads[3];
    for (size_t i = 0; i < FLOW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_around, registry), 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(flow_registry_add(registry, &fleeting, NULL), FLOW_OK);
        assert_true(flow_registry_remove(registry, "fleeting"));
    }
    for (size_t i = 0; i < FLOW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    flow_registry_free(registry);
}

int main(void)
{
    static const struct CMUnitTest others[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_schema),
                                               cmocka_unit_test(test_threads)};
    static struct CMUnitTest tests[FLOW_COUNT(rows) + FLOW_COUNT(others)];
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    memcpy(tests + FLOW_COUNT(rows), others, sizeof(others));
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
