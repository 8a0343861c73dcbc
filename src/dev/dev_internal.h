/*
 * dev_internal.h - how Development Mode is built inside; for src/dev only.
 *
 *   DevGraph    a built definition, with what is needed to look upstream
 *   DevSession  what one developer's work has left so far; the loop thread's
 *     DevNode     per node: its output, its durable state
 *     DevQueue    per queue: what the session's writers pushed and its readers haven't read
 *   FlowDevJob  one request, from its start to its answer
 *     DevView     what the session's outputs say about the nodes of one loop: which are live, which are worth what
 *     DevExec     one execution (of a for-each: with its body), on the thread that the node wants
 */
#ifndef FLOW_DEV_DEV_INTERNAL_H
#define FLOW_DEV_DEV_INTERNAL_H

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "dev/dev.h"
#include "engine/builder.h"
#include "forms/form.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "loop/timer.h"

typedef struct DevExec DevExec;
typedef struct FlowDevJob FlowDevJob;

/* ---- graph.c ---- */

/* One loop of a graph, with its edges looked at from their targets. */
typedef struct DevPlan {
    const FlowPlan *plan;
    const FlowGraph *graph;
    uint32_t *place;    /* per node of the graph: in the plan, or FLOW_GRAPH_NONE */
    uint32_t *in_first; /* per node of the plan, and one behind: in in_edges */
    uint32_t *in_edges; /* edges of the plan, by target, in the order of the definition */
} DevPlan;

typedef struct DevGraph {
    uint32_t refs; /* the loop thread's */
    FlowProblems problems;
    FlowAnalyzer *analyzer;
    FlowGraph *graph;
    DevPlan *plans; /* one per loop */
    uint32_t plan_count;
    /* What it was built from. */
    char etag[64];
    FlowValue definition;
    int64_t revision;
} DevGraph;

/* Any thread. `workflow_id` may be "". */
DevGraph *dev_graph_new(FlowRegistry *registry, const char *workflow_id, FlowValue definition);
DevGraph *dev_graph_ref(DevGraph *graph);
void dev_graph_unref(DevGraph *graph);
/* FLOW_GRAPH_NONE when the node isn't in this loop. */
static inline uint32_t dev_plan_place(const DevPlan *plan, uint32_t node)
{
    return plan->place[node];
}
static inline uint32_t dev_edge_branch(const DevPlan *plan, uint32_t plan_edge)
{
    return plan->graph->edges[plan->plan->edges[plan_edge].edge].branch;
}
/* An error that keeps `node` from being executed: of the graph as a whole, of the node itself or of one before it. */
const FlowProblem *dev_graph_obstacle(const DevGraph *graph, uint32_t node, bool form_is_given);

/* ---- ways.c: what lives, and what a join is given ---- */

/* What a node of a plan gave. Values are borrowed from whoever fills it in. */
typedef struct DevOut {
    FlowValue data, metadata;
    uint32_t branch; /* that was taken; FLOW_GRAPH_NONE: the branch ended there */
    bool is_live;    /* production would have come here */
    bool has_output;
    uint32_t nearest, depth; /* in the tree of dominators of what is live */
} DevOut;

static inline bool dev_edge_is_live(const DevPlan *plan, const DevOut *outs, uint32_t plan_edge)
{
    const DevOut *source = &outs[plan->plan->edges[plan_edge].source];
    return source->is_live && source->has_output && source->branch == dev_edge_branch(plan, plan_edge);
}
/* The nearest node on all ways to both. */
uint32_t dev_ways_common(const DevOut *outs, uint32_t a, uint32_t b);
/*
 * What comes into `node` over `edges` (edges of the plan that lead to it, in order), merged as production does; the
 * values are yours. *ret_fork: where the ways parted; the source itself for a single edge.
 */
FlowStatus dev_ways_merge(const DevPlan *plan, const DevOut *outs, const uint32_t *edges, size_t count,
                          FlowValue *ret_data, FlowValue *ret_metadata, uint32_t *ret_fork,
                          FlowError *reterr);
/* The same for what stands at several nodes (the ends of a body). */
FlowStatus dev_ways_merge_nodes(const DevOut *outs, const uint32_t *nodes, size_t count, FlowValue *ret_data,
                                FlowError *reterr);
/* `data` plus for_each {…}, under a key that is free. */
FlowStatus dev_with_for_each(FlowValue data, FlowMember *members_take, size_t count, FlowValue *ret_data,
                             FlowError *reterr);
FlowStatus dev_element(FlowValue data, FlowValue elements, size_t index, FlowValue *ret_data,
                       FlowError *reterr);

/* ---- session.c ---- */

/* What made an output. */
typedef struct DevKey {
    FlowHash128 form;     /* the stored form, and what else its rendering depends on */
    FlowHash128 body;     /* of a for-each: the forms and edges of its body */
    FlowHash128 rendered; /* what it rendered to, secrets included */
    FlowHash128 inputs;
    uint32_t version;
    char type[FLOW_NODE_TYPE_NAME_MAX + 1];
} DevKey;

typedef struct DevOutput {
    FlowDevPayload payload;
    FlowHash128 hash; /* of data and metadata */
    char *branch;
    bool ended, pinned, mocked;
    bool hollow;       /* a for-each whose body failed: it has elements, but no payload */
    char *pin_reason;  /* NULL: set by hand */
    char *fail_reason; /* its last execution failed; NULL: it didn't */
    DevKey key;
    FlowValue form;                               /* rendered, masked */
    FlowValue elements, each_data, each_metadata; /* of a for-each: what its body begins with */
    uint32_t element;                             /* of a for-each: the one that was last looked at */
    int64_t time_ns, duration_ns;
    uint64_t number; /* order of execution in the session */
    size_t bytes;
} DevOutput;

typedef struct DevNode {
    DevOutput *output; /* NULL: none */
    FlowValue state;   /* durable state; null: none */
    FlowHash128 state_form;
    bool completed;
    FlowDevPayload loaded; /* what stands in for all its inputs; data null: nothing */
    char *loaded_reason;
} DevNode;

typedef struct DevItem {
    FlowList link;
    FlowDevPayload payload;
    size_t bytes;
} DevItem;

typedef struct DevQueue {
    FlowList items; /* DevItem.link */
    size_t count;
} DevQueue;

typedef struct DevSession {
    FlowDev *dev;
    char id[FLOW_ID_MAX + 1];
    char workflow_id[FLOW_ID_MAX + 1];
    bool is_stored, is_bound, is_gone; /* gone: cleared while a job still holds it */
    uint32_t refs;
    DevGraph *graph;
    FlowMap nodes;  /* by node id: DevNode */
    FlowMap queues; /* by name: DevQueue */
    FlowValue parameters;
    int64_t create_ns, used_ns; /* wall */
    size_t bytes;
    uint64_t number;
    FlowDevJob *busy;
    FlowList waiting; /* FlowDevJob.link */
    size_t waiting_count;
} DevSession;

DevSession *dev_session_find(FlowDev *dev, const char *id);
/* INVALID_ARGUMENT for a bad id, RESOURCE_EXHAUSTED when there are too many. `id` "": makes one. */
FlowStatus dev_session_new(FlowDev *dev, const char *id, DevSession **ret_session, FlowError *reterr);
DevSession *dev_session_ref(DevSession *session);
void dev_session_unref(DevSession *session);
/* Out of the table; what it holds goes with the last reference. */
void dev_session_drop(DevSession *session);
void dev_session_touch(DevSession *session);
void dev_sessions_expire(FlowDev *dev);
void dev_session_view(const DevSession *session, FlowDevSessionView *ret_view);

DevNode *dev_session_node(DevSession *session, const char *node_id); /* NULL: nothing is known about it */
DevNode *dev_session_node_make(DevSession *session, const char *node_id);
DevOutput *dev_session_output(DevSession *session, const char *node_id); /* NULL: none */
/* The output is taken in every case. RESOURCE_EXHAUSTED (LIMIT_REACHED) beyond a bound: then nothing has changed. */
FlowStatus dev_session_store_take(DevSession *session, const char *node_id, DevOutput *output_take,
                                  FlowError *reterr);
void dev_session_forget(DevSession *session, const char *node_id);
/* Durable states count, too. */
void dev_session_set_state(DevSession *session, DevNode *node, FlowValue state_take, FlowHash128 form);
DevOutput *dev_output_free(DevOutput *output);
void dev_payload_done(FlowDevPayload *payload);
FlowDevPayload dev_payload_ref(const FlowDevPayload *payload);

size_t dev_queue_count(const DevSession *session, const char *name);
FlowStatus dev_queue_push(DevSession *session, const char *name, const FlowDevPayload *payload,
                          FlowError *reterr);
/* False when it is empty; otherwise the payload is yours. */
bool dev_queue_pop(DevSession *session, const char *name, FlowDevPayload *ret_payload);

FlowHash128 dev_hash_two(FlowHash128 a, FlowHash128 b);
FlowHash128 dev_hash_payload(FlowValue data, FlowValue metadata);
static inline bool dev_hash_equal(FlowHash128 a, FlowHash128 b)
{
    return a.low == b.low && a.high == b.high;
}

/* ---- exec.c, exec_each.c ---- */

/* A node's instance for the length of one execution. */
typedef struct DevInstance {
    DevExec *exec;
    FlowNode node;
    const FlowGraphNode *def;
    const FlowDevMock *mock;
    FlowForm *own_form; /* instead of the stored one; NULL: none */
    FlowNodeBranches *own_branches;
    FlowValue state; /* the newest */
    bool is_set_up, has_new_state;
} DevInstance;

typedef struct DevPush {
    char *queue;
    FlowDevPayload payload;
} DevPush;

/* A for-each whose body is being run. */
typedef struct DevFrame {
    uint32_t each;   /* in the plan */
    uint32_t cursor; /* the node to look at next */
    size_t index, count;
    FlowValue data, metadata, elements, results;
} DevFrame;

/* The question and the answer are the job's loop's; in between everything belongs to exec->loop. */
struct DevExec {
    FlowDev *dev;
    FlowLoop *loop;
    bool owns_loop;
    void (*finished)(DevExec *exec); /* on the FlowDev's loop */
    void *owner;
    FlowTask start, resume, stop, finish;
    _Atomic(bool) aborted;

    /* The question. */
    const FlowGraphNode *def;
    const DevPlan *plan; /* NULL for a node that no producer reaches */
    uint32_t at;         /* in the plan */
    bool lenient;
    bool dry_run;
    FlowValue var_workflow, var_run, var_env; /* borrowed */
    FlowDevPayload input;
    DevInstance target, *body; /* body: [plan->node_count], of a for-each only */

    /* The answer. */
    FlowNodeOutcome outcome; /* FAILED: `error`, of `failed` */
    FlowError error;
    const char *failed; /* node id */
    bool is_form_error, mocked;
    FlowDevPayload output;
    char *branch; /* NULL: the branch ended */
    FlowValue form;
    FlowHash128 rendered;
    FlowValue elements, each_data, each_metadata;
    FlowDevLog *logs;
    size_t log_count;
    DevPush *pushes;
    size_t push_count;
    int64_t began_ns, took_ns;

    /* The walk. */
    FlowNodeCall call;
    DevInstance *current;
    uint32_t current_at; /* in the plan */
    bool is_open, is_ended;
    FlowNodeOutcome call_outcome;
    FlowFormValues form_values;
    bool owns_form_values;
    FlowTemplateVar vars[5];
    FlowTemplateContext context;
    void *memory;
    FlowValue now_data, now_metadata; /* the input of the node in hand */
    DevOut *outs;                     /* [plan->node_count], owned values, of a for-each only */
    DevFrame *frames;
    uint32_t frame_count;
};

/* Fills in what is the same for all; the caller sets the question and then starts it. */
DevExec *dev_exec_new(FlowDev *dev, const FlowGraphNode *def);
/* The definition of a node of the body gets its instance; states and mocks are the caller's to set. */
void dev_exec_prepare(DevInstance *instance, DevExec *exec, const FlowGraphNode *def);
/* Ends with finished(). INVALID_ARGUMENT or RESOURCE_EXHAUSTED: it has not begun. */
FlowStatus dev_exec_start(DevExec *exec, FlowPoolKind pool, FlowError *reterr);
/* On the FlowDev's loop, before finished() was called. */
void dev_exec_stop(DevExec *exec);
void dev_exec_free(DevExec *exec);

/* exec_each.c: the body of a for-each. */
void dev_each_begin(DevExec *exec); /* the call of a for-each is DONE */
bool dev_each_advance(
    DevExec *exec); /* the next node of a body; false: it failed or all is done (exec->is_ended) */
void dev_each_record(DevExec *exec, FlowNodeOutcome outcome);
void dev_each_done(DevExec *exec);
/* exec.c, for exec_each.c */
void dev_exec_run_node(DevExec *exec, DevInstance *instance, uint32_t at, FlowValue data_take,
                       FlowValue metadata_take);
void dev_exec_fail(DevExec *exec, const char *node_id, const FlowError *error);

/* A form's values with this context; on failure false and *reterr. What it renders to is hashed. */
FlowHash128 dev_form_hash(const FlowFormValues *values);

/* ---- view.c ---- */

/* What is known about one node of a loop before another one is executed. */
typedef struct DevSeen {
    FlowDevState state; /* NOT_TAKEN: production would not come here */
    bool is_before;     /* the node asked about can be reached from here */
    bool is_wanted;     /* … and what it is given depends on this node */
    bool is_unknown;    /* whether it lives can't be told yet: something before it is missing */
    FlowHash128 hash;   /* of its output, as the node asked about sees it */
    FlowHash128 inputs; /* of what it would be given now */
    uint64_t number;
    char reason[200];
} DevSeen;

typedef struct DevView {
    FlowDevJob *job;
    const DevPlan *plan;
    uint32_t at; /* the node asked about, in the plan */
    DevOut *outs;
    DevSeen *seen;
    FlowValue *made; /* elements that were made for this view; node_count */
} DevView;

void dev_view_make(DevView *view, FlowDevJob *job, const DevPlan *plan, uint32_t at);
void dev_view_done(DevView *view);
/* The first node that `run_upstream` would execute before the one asked about; FLOW_GRAPH_NONE: none. */
uint32_t dev_view_next(const DevView *view);
/*
 * The input of the node asked about. *ret_off: no live edge leads to it. False: something is missing (the names are
 * found by dev_view_missing), or *reterr is set.
 */
bool dev_view_input(DevView *view, FlowDevPayload *ret_input, FlowHash128 *ret_hash, bool *ret_off,
                    FlowError *reterr);
/* The edges into it, with what their sources are worth; the array is yours. */
FlowDevInput *dev_view_inputs(const DevView *view, size_t *ret_count);
/* Node ids; the array is yours, the texts the graph's. */
const char **dev_view_missing(const DevView *view, size_t *ret_count);
/* The state of the output of a node on its own, e.g. in lists; the view is one about that node. */
FlowDevState dev_view_judge(DevView *view, char *reason, size_t size);
/* What a form depends on, unrendered; of a for-each, what its results depend on besides. */
FlowHash128 dev_form_key(const FlowGraphNode *def, FlowValue form, FlowValue parameters);
FlowHash128 dev_body_key(const DevPlan *plan, uint32_t at);

/* ---- job.c, verbs.c, dev.c ---- */

enum { DEV_TARGETS_MAX = 256 };

typedef struct DevTarget {
    const DevPlan *plan;
    uint32_t node; /* of the graph */
} DevTarget;

struct FlowDevJob {
    FlowDevRequest *request;
    FlowDev *dev;
    FlowList link; /* in DevSession.waiting */
    DevSession *session;
    DevGraph *graph;
    char workflow_id[FLOW_ID_MAX + 1];
    bool is_inline, is_cancelled, is_running;
    FlowStoreWorkflowGet get;
    FlowStoreDeadLetterGet letter; /* its results stay until the end of the job */
    FlowStorePeek peek;
    FlowWork build;
    char etag[64];
    int64_t revision;
    FlowValue definition;
    DevGraph *built;
    FlowValue parameters, var_workflow, var_run;
    /* EXECUTE */
    DevTarget targets[DEV_TARGETS_MAX]; /* a stack: writers that must be executed before a reader */
    uint32_t target_count;
    uint8_t *has_run; /* per node of the graph */
    DevExec *exec;
    uint32_t exec_node; /* of the graph */
    FlowHash128 exec_form, exec_inputs;
    FlowTimer timeout;
    bool timed_out, has_loaded;
    int64_t timeout_ns;
    const char **executed;
    size_t executed_count;
    FlowDevPayload peeked;
    bool has_peeked;
    /* What the answer points to. */
    const char **needed;
    FlowDevInput *inputs;
    FlowDevOutput *outputs;
};

struct FlowDev {
    FlowStore *store;
    FlowRegistry *registry;
    const FlowClock *clock;
    FlowValue env;
    void *(*service)(void *context, const char *name);
    void *service_context;
    unsigned sessions_max;
    size_t session_bytes, total_bytes;
    FlowLoop *loop;
    FlowPool *builders;
    FlowMap sessions; /* by id */
    size_t bytes;     /* of all sessions */
    unsigned threads;
    FlowTimer expiry;
};

/* The answer is in request->…; the job ends. */
void dev_job_finish(FlowDevJob *job);
void dev_job_fail(FlowDevJob *job, const FlowError *error);
/* Definition and session are there, and it is this job's turn in the session. */
void dev_job_execute(FlowDevJob *job);
/* What is next: something before the topmost target, or the target itself. */
void dev_job_step(FlowDevJob *job);
static inline bool dev_job_is_final(const FlowDevJob *job)
{
    return job->target_count == 1;
}
/* job_run.c: executes it, then goes on with dev_job_step() or ends the job. Takes the input. */
void dev_job_run(FlowDevJob *job, const DevPlan *plan, const FlowGraphNode *def, FlowDevPayload input_take,
                 FlowHash128 inputs);
void dev_job_cancel_execution(FlowDevJob *job);
void dev_job_load(FlowDevJob *job, void (*then)(FlowDevJob *job));
void dev_verb_run(FlowDevJob *job);
/* The mock of this node; NULL: none. */
const FlowDevMock *dev_job_mock(const FlowDevJob *job, const char *node_id);
/* NULL and *reterr (NODE_NOT_FOUND). */
const FlowGraphNode *dev_job_node(const FlowDevJob *job, const char *node_id, FlowError *reterr);
/* Of the loops that have this node, the one whose producer was executed last; NULL: no loop has it. */
const DevPlan *dev_job_plan(const FlowDevJob *job, uint32_t node);
/* Adds one to the answer's outputs. */
void dev_job_show_output(FlowDevJob *job, const FlowGraphNode *node, const DevOutput *output);

#endif
