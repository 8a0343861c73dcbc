/* run_view.c - a run as others see it: at this moment, from its runners; later, from what the store keeps. */
#include <string.h>

#include "engine/run_internal.h"
#include "value/json.h"

typedef struct View {
    FlowRunView view; /* first */
    _Atomic uint32_t refs;
    FlowArena arena;
} View;

static View *make(void)
{
    View *self = flow_new(View);
    atomic_init(&self->refs, 1);
    flow_arena_init(&self->arena, 0);
    self->view.parameters = self->view.labels = flow_value_object();
    return self;
}

FlowRunView *flow_run_view_ref(FlowRunView *view)
{
    if (view)
        atomic_fetch_add_explicit(&((View *)view)->refs, 1, memory_order_relaxed);
    return view;
}

FlowRunView *flow_run_view_unref(FlowRunView *view)
{
    View *self = (View *)view;
    if (view && atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) == 1) {
        flow_value_unref(view->parameters);
        flow_value_unref(view->labels);
        flow_arena_done(&self->arena);
        free(self);
    }
    return NULL;
}

static const char *copy(FlowArena *arena, const char *text)
{
    const char *copied = text ? flow_arena_strndup(arena, text, strlen(text)) : NULL;
    return copied ? copied : "";
}

static const FlowFailureView no_failure = {
    .reason = "", .message = "", .node_id = "", .node_type = "", .dead_letter_id = "", .fingerprint = ""};

/* ---- of a run that is going on ---- */

/* Where each node of the graph runs: a list of (loop, node in its plan) per node, as chains. */
typedef struct Instance {
    uint32_t loop, node, next;
} Instance;

static void view_node(FlowRun *run, const Instance *instances, uint32_t first, FlowArena *arena,
                      FlowNodeView *ret_view)
{
    const FlowPlan *plan = run->loops[instances[first].loop].plan;
    const FlowGraphNode *def = plan->nodes[instances[first].node].def;
    const FlowHistogram *few[8], **histograms = few;
    unsigned count = 0;
    for (uint32_t i = first; i != FLOW_GRAPH_NONE; i = instances[i].next)
        count++;
    if (count > FLOW_COUNT(few))
        histograms = flow_malloc(count * sizeof *histograms);

    *ret_view = (FlowNodeView){
        .node_id = copy(arena, def->id), .type = copy(arena, def->type->name), .last_error = no_failure};
    count = 0;
    for (uint32_t i = first; i != FLOW_GRAPH_NONE; i = instances[i].next) {
        FlowRunner *runner = run->loops[instances[i].loop].runner;
        const FlowNodeCounters *counters = flow_runner_node_counters(runner, instances[i].node);
        /* Ends are read before starts: so in_flight is never negative. */
        uint64_t failed = flow_count_read(&counters->failed),
                 completed = flow_count_read(&counters->completed);
        uint64_t started = flow_count_read(&counters->started);
        ret_view->started += started;
        ret_view->completed += completed;
        ret_view->failed += failed;
        ret_view->in_flight += started - completed - failed;
        histograms[count++] = atomic_load_explicit(&counters->latency, memory_order_acquire);
        FlowFailureView failure;
        if (flow_runner_node_failure(runner, instances[i].node, arena, &failure) &&
            failure.time_ns >= ret_view->last_error.time_ns)
            ret_view->last_error = failure;
    }
    flow_histogram_read(histograms, count, &ret_view->latency);
    if (histograms != few)
        free(histograms);
}

static void view_nodes(FlowRun *run, View *self)
{
    const FlowGraph *graph = flow_analyzer_graph(run->analyzer);
    uint32_t total = 0, used = 0, *first = flow_malloc((graph->node_count + 1) * sizeof *first);
    for (uint32_t l = 0; l < run->loop_count; l++)
        total += run->loops[l].plan->node_count;
    Instance *instances = flow_malloc((total + 1) * sizeof *instances);
    memset(first, 0xff, (graph->node_count + 1) * sizeof *first);
    for (uint32_t l = run->loop_count; l-- > 0;)
        for (uint32_t n = 0; n < run->loops[l].plan->node_count; n++) {
            uint32_t node = run->loops[l].plan->nodes[n].node;
            instances[used] = (Instance){l, n, first[node]};
            first[node] = used++;
        }
    FlowNodeView *nodes = flow_arena_calloc(&self->arena, graph->node_count + 1, sizeof *nodes);
    size_t count = 0;
    for (uint32_t i = 0; nodes && i < graph->node_count; i++)
        if (first[i] != FLOW_GRAPH_NONE)
            view_node(run, instances, first[i], &self->arena, &nodes[count++]);
    self->view.nodes = nodes;
    self->view.node_count = count;
    free(instances);
    free(first);
}

FlowRunView *flow_run__view(FlowRun *run)
{
    if (run->last_view)
        return flow_run_view_ref(run->last_view);
    View *self = make();
    FlowRunView *view = &self->view;
    FlowArena *arena = &self->arena;
    view->id = copy(arena, run->names.run_id);
    view->workflow_id = copy(arena, run->names.workflow_id);
    view->workflow_name = copy(arena, run->names.workflow_name);
    view->workflow_revision = run->revision;
    view->state = atomic_load(&run->state);
    view->create_ns = run->create_ns;
    view->start_ns = run->start_ns;
    view->end_ns = run->end_ns;
    view->error = run->error;
    view->parameters = flow_value_ref(run->parameters);
    view->labels = flow_value_ref(run->labels);
    view->cursor = flow_run_events__cursor(&run->events);
    FlowLoopView *loops = flow_arena_calloc(arena, run->loop_count + 1, sizeof *loops);
    for (uint32_t i = 0; loops && i < run->loop_count; i++) {
        flow_runner_view(run->loops[i].runner, arena, &loops[i]);
        loops[i].server = flow_loop_state_is_final(loops[i].state) ? "" : copy(arena, run->engine->server);
        if (run->loops[i].owns_loop && !run->loops[i].has_thread)
            loops[i].state_detail = "waits for a thread";
    }
    view->loops = loops;
    view->loop_count = loops ? run->loop_count : 0;
    view_nodes(run, self);
    return view;
}

/* ---- as JSON ---- */

static void set(FlowValue *object, const char *key, FlowValue value_take)
{
    flow_object_set_take(object, key, value_take, NULL);
}

static void set_int(FlowValue *object, const char *key, uint64_t number)
{
    if (number != 0)
        set(object, key, flow_value_int((int64_t)number));
}

static void set_text(FlowValue *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        set(object, key, flow_value_string(text));
}

static void set_failure(FlowValue *object, const FlowFailureView *failure)
{
    if (failure->time_ns == 0)
        return;
    FlowValue value = flow_value_object();
    set_int(&value, "time_ns", (uint64_t)failure->time_ns);
    set_int(&value, "code", failure->code);
    set_text(&value, "reason", failure->reason);
    set_text(&value, "message", failure->message);
    set_text(&value, "node_id", failure->node_id);
    set_text(&value, "node_type", failure->node_type);
    set_text(&value, "dead_letter_id", failure->dead_letter_id);
    set_text(&value, "fingerprint", failure->fingerprint);
    set(object, "failure", value);
}

static FlowValue encode_loop(const FlowLoopView *loop)
{
    FlowValue value = flow_value_object(), members = flow_value_array();
    set_text(&value, "producer", loop->producer_node_id);
    set_int(&value, "revision", (uint64_t)loop->workflow_revision);
    set_int(&value, "state", loop->state);
    set_text(&value, "detail", loop->state_detail);
    set_int(&value, "pool", loop->pool);
    set_text(&value, "pool_reason", loop->pool_reason);
    set_text(&value, "on_error", loop->on_error);
    set_int(&value, "produced", loop->produced);
    set_int(&value, "done", loop->done);
    set_int(&value, "filtered", loop->filtered);
    set_int(&value, "dead_lettered", loop->dead_lettered);
    set_int(&value, "in_flight", loop->in_flight);
    set_failure(&value, &loop->last_error);
    for (size_t i = 0; i < loop->member_count; i++)
        flow_array_push_take(&members, flow_value_string(loop->members[i]), NULL);
    set(&value, "members", members);
    return value;
}

static FlowValue encode_node(const FlowNodeView *node)
{
    FlowValue value = flow_value_object();
    set_text(&value, "id", node->node_id);
    set_text(&value, "type", node->type);
    set_int(&value, "started", node->started);
    set_int(&value, "completed", node->completed);
    set_int(&value, "failed", node->failed);
    set_int(&value, "measured", node->latency.count);
    set_int(&value, "p50_ns", (uint64_t)node->latency.p50_ns);
    set_int(&value, "p90_ns", (uint64_t)node->latency.p90_ns);
    set_int(&value, "p99_ns", (uint64_t)node->latency.p99_ns);
    set_int(&value, "max_ns", (uint64_t)node->latency.max_ns);
    set_failure(&value, &node->last_error);
    return value;
}

FlowBlob *flow_run_view__encode(const FlowRunView *view)
{
    FlowValue value = flow_value_object(), loops = flow_value_array(), nodes = flow_value_array();
    for (size_t i = 0; i < view->loop_count; i++)
        flow_array_push_take(&loops, encode_loop(&view->loops[i]), NULL);
    for (size_t i = 0; i < view->node_count; i++)
        flow_array_push_take(&nodes, encode_node(&view->nodes[i]), NULL);
    set_int(&value, "cursor", view->cursor);
    if (view->error.status != FLOW_OK) {
        FlowValue error = flow_value_object();
        set_int(&error, "code", view->error.status);
        set_text(&error, "reason", view->error.reason);
        set_text(&error, "where", view->error.where);
        set_text(&error, "message", view->error.message);
        set(&value, "error", error);
    }
    set(&value, "loops", loops);
    set(&value, "nodes", nodes);
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_json_write(value, &text, FLOW_JSON_WRITE_NONFINITE_NULL, NULL);
    flow_value_unref(value);
    FlowBlob *blob = flow_blob_take(&text);
    flow_buf_done(&text);
    return blob;
}

/* ---- from JSON ---- */

static const FlowValue nothing = {.word = {0, 0}};

static FlowValue get(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value ? *value : nothing;
}

static uint64_t get_int(FlowValue object, const char *key)
{
    FlowValue value = get(object, key);
    return flow_value_kind(value) == FLOW_VALUE_INT ? (uint64_t)flow_value_get_int(value) : 0;
}

static const char *get_text(FlowArena *arena, FlowValue object, const char *key)
{
    FlowValue value = get(object, key);
    return flow_value_kind(value) == FLOW_VALUE_STRING ? copy(arena, flow_value_text(&value)) : "";
}

static FlowFailureView decode_failure(FlowArena *arena, FlowValue object)
{
    FlowValue value = get(object, "failure");
    return (FlowFailureView){
        .time_ns = (int64_t)get_int(value, "time_ns"),
        .code = (FlowStatus)get_int(value, "code"),
        .reason = get_text(arena, value, "reason"),
        .message = get_text(arena, value, "message"),
        .node_id = get_text(arena, value, "node_id"),
        .node_type = get_text(arena, value, "node_type"),
        .dead_letter_id = get_text(arena, value, "dead_letter_id"),
        .fingerprint = get_text(arena, value, "fingerprint"),
    };
}

static void decode_loop(FlowArena *arena, FlowValue value, FlowLoopView *ret_loop)
{
    FlowValue members = get(value, "members");
    size_t count = flow_array_count(members);
    const char **ids = flow_arena_calloc(arena, count + 1, sizeof *ids);
    for (size_t i = 0; ids && i < count; i++) {
        FlowValue id = *flow_array_at(members, i);
        ids[i] = flow_value_kind(id) == FLOW_VALUE_STRING ? copy(arena, flow_value_text(&id)) : "";
    }
    *ret_loop = (FlowLoopView){
        .producer_node_id = get_text(arena, value, "producer"),
        .workflow_revision = (int64_t)get_int(value, "revision"),
        .state = (FlowLoopState)get_int(value, "state"),
        .state_detail = get_text(arena, value, "detail"),
        .pool = (FlowPoolKind)get_int(value, "pool"),
        .pool_reason = get_text(arena, value, "pool_reason"),
        .on_error = get_text(arena, value, "on_error"),
        .produced = get_int(value, "produced"),
        .done = get_int(value, "done"),
        .filtered = get_int(value, "filtered"),
        .dead_lettered = get_int(value, "dead_lettered"),
        .in_flight = get_int(value, "in_flight"),
        .last_error = decode_failure(arena, value),
        .members = ids,
        .member_count = ids ? count : 0,
        .server = "",
    };
}

static void decode_node(FlowArena *arena, FlowValue value, FlowNodeView *ret_node)
{
    *ret_node = (FlowNodeView){
        .node_id = get_text(arena, value, "id"),
        .type = get_text(arena, value, "type"),
        .started = get_int(value, "started"),
        .completed = get_int(value, "completed"),
        .failed = get_int(value, "failed"),
        .last_error = decode_failure(arena, value),
        .latency = {.count = get_int(value, "measured"),
                    .p50_ns = (int64_t)get_int(value, "p50_ns"),
                    .p90_ns = (int64_t)get_int(value, "p90_ns"),
                    .p99_ns = (int64_t)get_int(value, "p99_ns"),
                    .max_ns = (int64_t)get_int(value, "max_ns")},
    };
}

static void decode_status(View *self, FlowValue status)
{
    FlowValue loops = get(status, "loops"), nodes = get(status, "nodes"), error = get(status, "error");
    FlowArena *arena = &self->arena;
    self->view.cursor = get_int(status, "cursor");
    if (get_int(error, "code") != 0)
        flow_error_set(&self->view.error, (FlowStatus)get_int(error, "code"),
                       get_text(arena, error, "reason"), get_text(arena, error, "where"), "%s",
                       get_text(arena, error, "message"));
    size_t loop_count = flow_array_count(loops), node_count = flow_array_count(nodes);
    FlowLoopView *loop_views = flow_arena_calloc(arena, loop_count + 1, sizeof *loop_views);
    FlowNodeView *node_views = flow_arena_calloc(arena, node_count + 1, sizeof *node_views);
    if (loop_views == NULL || node_views == NULL)
        return;
    for (size_t i = 0; i < loop_count; i++)
        decode_loop(arena, *flow_array_at(loops, i), &loop_views[i]);
    for (size_t i = 0; i < node_count; i++)
        decode_node(arena, *flow_array_at(nodes, i), &node_views[i]);
    self->view.loops = loop_views;
    self->view.loop_count = loop_count;
    self->view.nodes = node_views;
    self->view.node_count = node_count;
}

/* A run whose view was never stored: what the store itself counted. */
static void decode_records(View *self, const FlowRunRecord *record)
{
    FlowArena *arena = &self->arena;
    FlowLoopView *loops = flow_arena_calloc(arena, record->loop_count + 1, sizeof *loops);
    if (loops == NULL)
        return;
    for (size_t i = 0; i < record->loop_count; i++) {
        const FlowLoopRecord *loop = &record->loops[i];
        loops[i] = (FlowLoopView){
            .producer_node_id = copy(arena, loop->producer_node_id),
            .workflow_revision = loop->workflow_revision,
            .state = (FlowLoopState)loop->state,
            .state_detail = "",
            .pool_reason = "",
            .on_error = "",
            .produced = loop->produced,
            .done = loop->done,
            .filtered = loop->filtered,
            .dead_lettered = loop->dead_lettered,
            .in_flight = loop->in_flight,
            .last_error = no_failure,
            .server = "",
        };
    }
    self->view.loops = loops;
    self->view.loop_count = record->loop_count;
}

static FlowValue read_blob(FlowBlob *blob)
{
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
    FlowValue value = flow_value_null();
    size_t len;
    if (blob == NULL)
        return value;
    const char *text = flow_blob_bytes(blob, &len);
    flow_json_read(text, len, &limits, &value, NULL);
    return value;
}

FlowRunView *flow_run_view__decode(const FlowRunRecord *record)
{
    View *self = make();
    FlowRunView *view = &self->view;
    FlowArena *arena = &self->arena;
    view->id = copy(arena, record->id);
    view->workflow_id = copy(arena, record->workflow_id);
    view->workflow_name = copy(arena, record->workflow_name);
    view->workflow_revision = record->workflow_revision;
    view->state = (FlowRunState)record->state;
    view->create_ns = record->create_ns;
    view->start_ns = record->start_ns;
    view->end_ns = record->end_ns;
    FlowValue spec = read_blob(record->spec), status = read_blob(record->status);
    if (flow_value_kind(get(spec, "parameters")) == FLOW_VALUE_OBJECT)
        view->parameters = flow_value_ref(get(spec, "parameters"));
    if (flow_value_kind(get(spec, "labels")) == FLOW_VALUE_OBJECT)
        view->labels = flow_value_ref(get(spec, "labels"));
    decode_status(self, status);
    if (view->loop_count == 0)
        decode_records(self, record);
    flow_value_unref(spec);
    flow_value_unref(status);
    return view;
}
