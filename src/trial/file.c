/* file.c - test files: read, and every name in them checked, so that no mistake passes for a test. */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "trial/trial_internal.h"
#include "value/json.h"

enum { FILE_BYTES = 64 << 20 };

static const char *const file_keys[] = {"workflow", "tests", "about", NULL};
static const char *const test_keys[] = {"name",   "about", "parameters", "inputs", "mocks",
                                        "queues", "exact", "run_for",    "expect", NULL};
static const char *const expect_keys[] = {"state",  "error",        "outputs", "branches",
                                          "queues", "dead_letters", NULL};
static const char *const mock_keys[] = {"data", "metadata", "branch", "error", NULL};
static const char *const letter_keys[] = {"node_id", "reason", "message", "data", NULL};

const FlowValue *trial_get(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value && !flow_value_is_null(*value) ? value : NULL;
}

typedef struct Reader {
    const char *path;
    const char *test; /* NULL: the file */
    FlowBuf *problems;
    FlowValue workflow;
    bool failed;
} Reader;

static void wrong(Reader *self, const char *format, const char *what, const char *more)
{
    self->failed = true;
    flow_buf_printf(self->problems, "%s: ", self->path);
    if (self->test)
        flow_buf_printf(self->problems, "test \"%s\": ", self->test);
    flow_buf_printf(self->problems, format, what, more);
    flow_buf_str(self->problems, "\n");
}

/* An object with these keys only. */
static bool check_keys(Reader *self, FlowValue object, const char *what, const char *const *known)
{
    size_t count, known_count = 0;
    if (flow_value_kind(object) != FLOW_VALUE_OBJECT) {
        wrong(self, "%s must be an object%s", what, "");
        return false;
    }
    while (known[known_count])
        known_count++;
    const FlowMember *members = flow_object_members(object, &count);
    for (size_t i = 0; i < count; i++) {
        const char *key = flow_value_text(&members[i].key);
        bool is_known = false;
        for (size_t k = 0; k < known_count; k++)
            is_known = is_known || strcmp(known[k], key) == 0;
        if (!is_known) {
            const char *near = flow_nearest_name(key, strlen(key), known, known_count);
            char hint[160] = "";
            if (near)
                snprintf(hint, sizeof hint, "; did you mean \"%s\"?", near);
            flow_buf_printf(self->problems, "%s: %s%s%s%s has no key \"%s\"%s\n", self->path,
                            self->test ? "test \"" : "", self->test ? self->test : "",
                            self->test ? "\": " : "", what, key, hint);
            self->failed = true;
        }
    }
    return true;
}

static bool has_node(FlowValue workflow, const char *id)
{
    const FlowValue *nodes = trial_get(workflow, "nodes");
    for (size_t i = 0; nodes && i < flow_array_count(*nodes); i++) {
        const FlowValue *node_id = trial_get(*flow_array_at(*nodes, i), "id");
        if (node_id && flow_value_kind(*node_id) == FLOW_VALUE_STRING && flow_value_text_equals(node_id, id))
            return true;
    }
    return false;
}

/* An object whose keys are nodes. */
static void check_nodes(Reader *self, const FlowValue *object, const char *what)
{
    size_t count;
    if (object == NULL)
        return;
    if (flow_value_kind(*object) != FLOW_VALUE_OBJECT) {
        wrong(self, "%s must be an object with a member for each node%s", what, "");
        return;
    }
    const FlowMember *members = flow_object_members(*object, &count);
    for (size_t i = 0; i < count; i++)
        if (!has_node(self->workflow, flow_value_text(&members[i].key)))
            wrong(self, "%s names the node \"%s\", which the workflow doesn't have", what,
                  flow_value_text(&members[i].key));
}

static void check_lists(Reader *self, const FlowValue *object, const char *what)
{
    size_t count = 0;
    const FlowMember *members = object ? flow_object_members(*object, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (flow_value_kind(members[i].value) != FLOW_VALUE_ARRAY)
            wrong(self, "%s of \"%s\" must be a list", what, flow_value_text(&members[i].key));
}

static void check_mocks(Reader *self, const FlowValue *mocks)
{
    size_t count = 0;
    const FlowMember *members = mocks ? flow_object_members(*mocks, &count) : NULL;
    check_nodes(self, mocks, "mocks");
    for (size_t i = 0; i < count; i++) {
        if (flow_value_kind(members[i].value) != FLOW_VALUE_ARRAY)
            check_keys(self, members[i].value, "a mock", mock_keys);
        else
            for (size_t m = 0; m < flow_array_count(members[i].value); m++)
                check_keys(self, *flow_array_at(members[i].value, m), "a mock", mock_keys);
    }
}

static void check_expect(Reader *self, FlowValue expect)
{
    const FlowValue *letters = trial_get(expect, "dead_letters");
    check_keys(self, expect, "expect", expect_keys);
    check_nodes(self, trial_get(expect, "outputs"), "expect.outputs");
    check_lists(self, trial_get(expect, "outputs"), "expect.outputs");
    check_nodes(self, trial_get(expect, "branches"), "expect.branches");
    check_lists(self, trial_get(expect, "branches"), "expect.branches");
    check_lists(self, trial_get(expect, "queues"), "expect.queues");
    if (letters && flow_value_kind(*letters) == FLOW_VALUE_ARRAY)
        for (size_t i = 0; i < flow_array_count(*letters); i++)
            check_keys(self, *flow_array_at(*letters, i), "a dead letter", letter_keys);
    else if (letters && flow_value_kind(*letters) != FLOW_VALUE_INT)
        wrong(self, "%s must be a number or a list%s", "expect.dead_letters", "");
}

static void check_test(Reader *self, FlowValue spec)
{
    const FlowValue *expect = trial_get(spec, "expect");
    if (!check_keys(self, spec, "a test", test_keys))
        return;
    check_nodes(self, trial_get(spec, "inputs"), "inputs");
    check_lists(self, trial_get(spec, "inputs"), "inputs");
    check_lists(self, trial_get(spec, "queues"), "queues");
    check_mocks(self, trial_get(spec, "mocks"));
    if (expect)
        check_expect(self, *expect);
    else
        wrong(self, "%s is missing%s: a test without it tests nothing", "expect", "");
}

static bool read_json(const char *path, FlowValue *ret_value, FlowError *reterr)
{
    FILE *file = fopen(path, "re");
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
    if (file == NULL) {
        flow_error_set(reterr, FLOW_NOT_FOUND, NULL, path, "it can't be read");
        return false;
    }
    flow_cleanup(flow_buf_done) FlowBuf text;
    char part[65536];
    size_t len;
    flow_buf_init(&text, FILE_BYTES);
    while ((len = fread(part, 1, sizeof part, file)) > 0)
        flow_buf_append(&text, part, len);
    bool read = !ferror(file) && !text.failed;
    fclose(file);
    if (!read) {
        flow_error_set(reterr, FLOW_NOT_FOUND, NULL, path, "it can't be read, or is larger than 64 MiB");
        return false;
    }
    return flow_json_read(text.data ? text.data : "", text.len, &limits, ret_value, reterr) == FLOW_OK;
}

/* A definition, or the path of its file from where the test file is. */
static bool find_workflow(Reader *self, FlowValue whole)
{
    const FlowValue *given = trial_get(whole, "workflow");
    FlowError error;
    if (given && flow_value_kind(*given) == FLOW_VALUE_OBJECT) {
        self->workflow = flow_value_ref(*given);
        return true;
    }
    if (given == NULL || flow_value_kind(*given) != FLOW_VALUE_STRING) {
        wrong(self, "%s must be a workflow, or the path of its file%s", "workflow", "");
        return false;
    }
    char path[4096];
    const char *slash = strrchr(self->path, '/'), *name = flow_value_text(given);
    int room = slash && name[0] != '/' ? (int)(slash - self->path + 1) : 0;
    snprintf(path, sizeof path, "%.*s%s", room, self->path, name);
    FlowValue read;
    if (!read_json(path, &read, &error)) {
        wrong(self, "the workflow \"%s\": %s", path, error.message);
        return false;
    }
    const FlowValue *inner = trial_get(read, "workflow");
    self->workflow = flow_value_ref(inner ? *inner : read);
    flow_value_unref(read);
    return true;
}

bool trial_file_read(TrialFile *file, const char *path, FlowBuf *problems)
{
    Reader self = {.path = path, .problems = problems, .workflow = flow_value_null()};
    FlowValue whole = flow_value_null();
    FlowError error;
    *file = (TrialFile){.path = path};
    if (!read_json(path, &whole, &error)) {
        wrong(&self, "%s%s", error.message, "");
        return false;
    }
    const FlowValue *tests = trial_get(whole, "tests");
    if (check_keys(&self, whole, "a test file", file_keys) && find_workflow(&self, whole)) {
        if (tests == NULL || flow_value_kind(*tests) != FLOW_VALUE_ARRAY || flow_array_count(*tests) == 0)
            wrong(&self, "%s must be a list of tests, with one at least%s", "tests", "");
        else
            file->cases = flow_calloc(flow_array_count(*tests), sizeof *file->cases);
        for (size_t i = 0; file->cases && i < flow_array_count(*tests); i++) {
            FlowValue spec = *flow_array_at(*tests, i);
            const FlowValue *name = trial_get(spec, "name");
            char number[32];
            snprintf(number, sizeof number, "test %zu", i + 1);
            TrialCase *test = &file->cases[file->case_count++];
            test->name = flow_strdup(
                name && flow_value_kind(*name) == FLOW_VALUE_STRING ? flow_value_text(name) : number);
            test->workflow = flow_value_ref(self.workflow);
            test->spec = flow_value_ref(spec);
            self.test = test->name;
            check_test(&self, spec);
        }
    }
    flow_value_unref(self.workflow);
    flow_value_unref(whole);
    return !self.failed;
}

void trial_file_done(TrialFile *file)
{
    for (size_t i = 0; i < file->case_count; i++) {
        free(file->cases[i].name);
        flow_value_unref(file->cases[i].workflow);
        flow_value_unref(file->cases[i].spec);
    }
    free(file->cases);
}
