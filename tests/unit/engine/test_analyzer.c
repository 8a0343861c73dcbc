/* Loops, plans, queues and ways of small graphs; and random graphs against slow and simple answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "graph_notation.h"

typedef struct Built {
    FlowRegistry *registry;
    FlowProblems problems;
    FlowGraph *graph;
    FlowAnalyzer *analyzer;
} Built;

static Built build(const char *notation)
{
    Built built = {.registry = test_registry()};
    built.graph = test_build(built.registry, notation, &built.problems);
    built.analyzer = flow_analyzer_new(built.graph);
    return built;
}

static void done(Built *built)
{
    flow_analyzer_unref(built->analyzer);
    flow_graph_unref(built->graph);
    flow_problems_done(&built->problems);
    flow_registry_free(built->registry);
}

static uint32_t node(const Built *built, const char *id)
{
    const FlowGraphNode *found = flow_graph_find(built->graph, id);
    assert_non_null(found);
    return found->index;
}

/* ---- plans ---- */

static const char *id_of(const FlowPlan *plan, uint32_t at)
{
    return at == FLOW_GRAPH_NONE ? "-" : plan->nodes[at].def->id;
}

/* One word per node: id, then :fork, *in_count for joins, @body, [body_end), ! boundary, % fork. */
static void show_plan(const FlowPlan *plan, FlowBuf *to)
{
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const FlowPlanNode *n = &plan->nodes[i];
        flow_buf_printf(to, "%s%s", i ? " " : "", n->def->id);
        if (n->join != FLOW_GRAPH_NONE)
            flow_buf_printf(to, "*%u:%s", n->in_count, id_of(plan, n->fork));
        if (n->body_of != FLOW_GRAPH_NONE)
            flow_buf_printf(to, "@%s", id_of(plan, n->body_of));
        if (n->body_end > i + 1)
            flow_buf_printf(to, "[%u", n->body_end - i - 1);
        flow_buf_str(to, n->is_boundary ? "!" : "");
        flow_buf_str(to, n->is_fork ? "%" : "");
    }
}

typedef struct PlanRow {
    const char *name, *graph, *plan;
} PlanRow;

static const PlanRow plan_rows[] = {
    {"a chain", "p>a a>b", "p a b"},
    {"fan-out in edge order", "p>a p>b p>d a>x", "p a x b d"},
    {"a diamond", "p>a p>b a>j b>j j>z", "p% a b j*2:p z"},
    {"exclusive branches", "p>c c.yes>a c.no>b a>j b>j", "p c a b j*2:c"},
    {"two edges to one node", "p>j p>j", "p% j*2:p"},
    {"a fork further up", "p>a a>b a>d b>x d>j x>j", "p a% b x d j*2:a"},
    {"a fork that no join knows", "p>a p>b", "p a b"},
    {"joins in a row", "p>a p>b a>j b>j p>k j>k", "p% a b j*2:p k*2:p"},
    {"a for-each", "p>f f.default>d f.body>b b>x", "p f[2 b@f x@f d"},
    {"a for-each whose body forks", "p>f f.body>a f.body>b a>j b>j f.default>z", "p f[3% a@f b@f j*2:f@f z"},
    {"nested", "p>f f.default>z f.body>f2 f2.default>y f2.body>x", "p f[3 f2@f[1 x@f2 y@f z"},
    {"for-each and another way", "p>f p>b f.body>x f.default>j b>j", "p% f[1 x@f b j*2:p"},
    {"boundaries", "p>n n>a p>n2", "p n! a n2!"},
    {"no boundary in a body", "p>f f.body>n f.default>n2", "p f[1 n@f n2!"},
    {"the next loop is another plan", "p>w w>r r>a", "p w!"},
};

static void check_plan(void **state)
{
    const PlanRow *row = *state;
    Built built = build(row->graph);
    FlowBuf said;
    flow_buf_init(&said, 0);
    show_plan(flow_analyzer_loop(built.analyzer, 0), &said);
    assert_string_equal(flow_buf_text(&said), row->plan);
    flow_buf_done(&said);
    done(&built);
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *graph, *ends;
    } rows[] = {
        {"p", "p "},
        {"p>a a>b p>d", "b d "},
        {"p>n n>x p>a", "n a "},
        {"p>c c.yes>n c.no>a n>x a>x", "n x "},
        {"p>f f.body>b b>y f.default>d", "d "},
        {"p>f f.body>b", "f "},
        {"p>w w>r r>a", "w "},
        {"p>c c.yes>a", "a "},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        Built built = build(rows[i].graph);
        const FlowPlan *plan = flow_analyzer_loop(built.analyzer, 0);
        FlowBuf said;
        flow_buf_init(&said, 0);
        for (uint32_t e = 0; e < plan->end_count; e++)
            flow_buf_printf(&said, "%s ", id_of(plan, plan->ends[e]));
        assert_string_equal(flow_buf_text(&said), rows[i].ends);
        flow_buf_done(&said);
        done(&built);
    }
}

static void test_dead_ranges(void **state)
{
    (void)state;
    Built built = build("p>c c.yes>a c.no>b a>j b>j p>j j>z j>k p>k");
    const FlowPlan *plan = flow_analyzer_loop(built.analyzer, 0);
    assert_int_equal(plan->join_count, 2);
    assert_int_equal(plan->slot_count, 5);
    const FlowPlanNode *c = &plan->nodes[1];
    assert_string_equal(c->def->id, "c");
    /* Each branch of c leads to one slot of j, and the node to both. */
    assert_int_equal(c->branches[0].dead_end - c->branches[0].dead_first, 1);
    assert_int_equal(c->branches[1].dead_end - c->branches[1].dead_first, 1);
    assert_int_equal(c->dead_end - c->dead_first, 2);
    assert_string_equal(id_of(plan, plan->slots[c->dead_first].target), "j");
    /* The producer's range: the slots of c, its own edges to j and k, but not what is behind j. */
    assert_int_equal(plan->nodes[0].dead_end - plan->nodes[0].dead_first, 4);
    /* Ranks follow the definition: a>j, b>j, p>j. */
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        const FlowPlanSlot *slot = &plan->slots[s];
        if (strcmp(id_of(plan, slot->target), "j") != 0)
            continue;
        static const char order[] = "abp";
        assert_int_equal(order[slot->rank], id_of(plan, plan->edges[slot->edge].source)[0]);
    }
    done(&built);
}

static void test_pools(void **state)
{
    (void)state;
    Built built = build("p1>a a>t4 p2>a2");
    const FlowPlan *plan = flow_analyzer_loop(built.analyzer, 0);
    assert_int_equal(plan->pool, FLOW_POOL_THREAD);
    assert_string_equal(plan->pool_reason, "THREAD because of node t4 (test-thread)");
    plan = flow_analyzer_loop(built.analyzer, 1);
    assert_int_equal(plan->pool, FLOW_POOL_ASYNC);
    assert_int_equal(plan->pool_node, FLOW_GRAPH_NONE);
    done(&built);
}

/* ---- queues ---- */

typedef struct QueueRow {
    const char *name, *graph;
    const char *queues; /* "name(short) writers>readers" */
} QueueRow;

static const QueueRow queue_rows[] = {
    {"mapped", "p>w w>r", "wf.queue_w_r(queue_w_r) w>r"},
    {"named by the reader", "r=q p>w w>r", "q(q) w>r"},
    {"named by the writer", "w=q p>w w>r", "q(q) w>r"},
    {"the first writer in edge order", "p>w1 p>w2 w2>r w1>r", "wf.queue_w2_r(queue_w2_r) w1,w2>r"},
    {"a name for all writers", "w2=q p>w1 p>w2 w1>r w2>r", "q(q) w2,w1>r"},
    {"a writer with two readers", "p>w w>r1 w>r2",
     "wf.queue_w_r1(queue_w_r1) w>r1, wf.queue_w_r2(queue_w_r2) w>r2"},
    {"competing readers", "w=q p>w w>r1 w>r2", "q(q) w>r1,r2"},
    {"read by nobody here", "w=out p>w", "out(out) w>"},
    {"written by nobody here", "r=in r>a", "in(in) >r"},
    {"joined by name alone", "w=q r=q p>w r>a", "q(q) w>r"},
    {"pairs of one name", "p>w_a p>w w_a>r w>r_x w_a>r_a w>r_a_r",
     "wf.queue_w_a_r(queue_w_a_r) w_a>r, wf.queue_w_r_x(queue_w_r_x) w>r_x, wf.queue_w_a_r_a(queue_w_a_r_a) "
     "w_a>r_a, "
     "wf.queue_w_r_a_r(queue_w_r_a_r) w>r_a_r"},
    {"two pairs give one name", "p>w p>w_r w>r_r w_r>r",
     "wf.queue_w_r_r(queue_w_r_r) w>r_r, "
     "wf.queue_w_r_r_2(queue_w_r_r_2) w_r>r"},
    {"a mapped name that somebody gave by hand", "w0=wf.queue_w_r p>w0 p>w w>r",
     "wf.queue_w_r_2(queue_w_r_2) w>r, wf.queue_w_r(wf.queue_w_r) w0>"},
    {"ids that are no names", "p>w/1 w/1>r:1", "wf.queue_w%2F1_r%3A1(queue_w%2F1_r%3A1) w/1>r:1"},
};

static void list_nodes(const Built *built, FlowBuf *to, const uint32_t *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        flow_buf_printf(to, "%s%s", i ? "," : "", built->graph->nodes[nodes[i]].id);
}

static void check_queues(void **state)
{
    const QueueRow *row = *state;
    Built built = build(row->graph);
    FlowBuf said;
    flow_buf_init(&said, 0);
    for (uint32_t q = 0; q < built.graph->queue_count; q++) {
        const FlowGraphQueue *queue = &built.graph->queues[q];
        flow_buf_printf(&said, "%s%s(%s) ", q ? ", " : "", queue->name, queue->short_name);
        list_nodes(&built, &said, queue->writers, queue->writer_count);
        flow_buf_byte(&said, '>');
        list_nodes(&built, &said, queue->readers, queue->reader_count);
        for (uint32_t i = 0; i < queue->reader_count; i++) {
            const FlowGraphNode *reader = &built.graph->nodes[queue->readers[i]];
            assert_int_equal(reader->queue_count, 1);
            assert_string_equal(reader->queues[0], queue->name);
            const FlowValue *name = flow_object_get(reader->form_values, "queue_name");
            assert_string_equal(flow_value_text(name), queue->name);
        }
    }
    assert_string_equal(flow_buf_text(&said), row->queues);
    assert_true(built.graph->is_sound);
    flow_buf_done(&said);
    done(&built);
}

/* ---- ways ---- */

static void expect_set(const Built *built, FlowNodeSet set, const char *wanted)
{
    FlowBuf said;
    flow_buf_init(&said, 0);
    list_nodes(built, &said, set.nodes, set.count);
    assert_string_equal(flow_buf_text(&said), wanted);
    flow_buf_done(&said);
    free(set.nodes);
}

static void test_ways(void **state)
{
    (void)state;
    Built built = build("p>c c.yes>a c.no>b a>w w>r r>x b>n n>y");
    const FlowAnalyzer *analyzer = built.analyzer;
    expect_set(&built, flow_analyzer_upstream(analyzer, node(&built, "a"), false), "p,c");
    expect_set(&built, flow_analyzer_upstream(analyzer, node(&built, "x"), false), "r");
    expect_set(&built, flow_analyzer_upstream(analyzer, node(&built, "x"), true), "p,c,a,w,r");
    expect_set(&built, flow_analyzer_downstream(analyzer, node(&built, "c"), false), "a,b,w,n,y");
    expect_set(&built, flow_analyzer_downstream(analyzer, node(&built, "a"), true), "w,r,x");
    expect_set(&built, flow_analyzer_chain(analyzer, node(&built, "p"), node(&built, "y"), false),
               "p,c,b,n,y");
    expect_set(&built, flow_analyzer_chain(analyzer, node(&built, "a"), node(&built, "y"), true), "");
    expect_set(&built, flow_analyzer_chain(analyzer, node(&built, "a"), node(&built, "a"), true), "a");
    expect_set(&built, flow_analyzer_non_blocking(analyzer), "w,n");
    assert_int_equal(flow_analyzer_loop_count(analyzer), 2);
    assert_string_equal(built.graph->nodes[flow_analyzer_first_node(analyzer)].id, "p");
    assert_null(flow_analyzer_loop_of(analyzer, node(&built, "a")));
    assert_ptr_equal(flow_analyzer_loop_of(analyzer, node(&built, "r")), flow_analyzer_loop(analyzer, 1));
    done(&built);
}

static void test_first_node(void **state)
{
    (void)state;
    Built built = build("r>a p>w w>r");
    assert_string_equal(built.graph->nodes[flow_analyzer_first_node(built.analyzer)].id, "p");
    done(&built);
    built = build("r=q w=q r>w");
    assert_string_equal(built.graph->nodes[flow_analyzer_first_node(built.analyzer)].id, "r");
    done(&built);
    built = build("a>b");
    assert_int_equal(flow_analyzer_first_node(built.analyzer), FLOW_GRAPH_NONE);
    done(&built);
}

/* ---- random graphs ---- */

static uint64_t seed = 1;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

/* A producer and up to `inner` other nodes; edges lead from earlier to later ones. */
static void random_notation(FlowBuf *to, uint32_t inner, const char *kinds)
{
    char names[32][8];
    snprintf(names[0], sizeof(names[0]), "p0");
    flow_buf_clear(to);
    for (uint32_t i = 1; i <= inner; i++) {
        snprintf(names[i], sizeof(names[i]), "%c%u", kinds[dice((uint32_t)strlen(kinds))], i);
        uint32_t ways = 1 + (dice(3) == 0) + (dice(6) == 0);
        for (uint32_t w = 0; w < ways; w++) {
            const char *from = names[dice(i)];
            const char *handle = *from == 'c' ? (dice(2) ? ".yes" : ".no") : "";
            flow_buf_printf(to, "%s%s>%s ", from, handle, names[i]);
        }
    }
}

/*
 * Executes one unit by the plan's slots. `choice`: the branch that a conditional takes; a node whose `stops` is set
 * ends its branch. Fills in ran[] per node of the plan.
 */
static void run_by_slots(const FlowPlan *plan, const uint32_t *choice, const bool *stops, bool *ran)
{
    uint32_t *undecided = calloc(plan->join_count + 1, sizeof(*undecided));
    bool *alive = calloc(plan->join_count + 1, sizeof(*alive));
    /* What is to do: an edge that is reached, or a range of slots that dies. */
    struct {
        bool is_edge;
        uint32_t first, end;
    } stack[4096];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (plan->nodes[i].join != FLOW_GRAPH_NONE)
            undecided[plan->nodes[i].join] = plan->nodes[i].in_count;
    }
    uint32_t start = 0;
    for (;;) {
        uint32_t enter = start;
        start = FLOW_GRAPH_NONE;
        if (enter != FLOW_GRAPH_NONE) {
            const FlowPlanNode *n = &plan->nodes[enter];
            assert_false(ran[enter]);
            ran[enter] = true;
            if (stops[enter]) {
                stack[depth].is_edge = false;
                stack[depth].first = n->dead_first;
                stack[depth++].end = n->dead_end;
            }
            for (uint32_t b = n->def->branch_count; b-- > 0 && !stops[enter];) {
                const FlowPlanBranch *branch = &n->branches[b];
                bool taken = b == choice[enter] % n->def->branch_count;
                for (uint32_t e = branch->edge_end; taken && e-- > branch->edge_first;) {
                    stack[depth].is_edge = true;
                    stack[depth++].first = e;
                }
                if (!taken) {
                    stack[depth].is_edge = false;
                    stack[depth].first = branch->dead_first;
                    stack[depth++].end = branch->dead_end;
                }
            }
        }
        if (!depth)
            break;
        uint32_t at = stack[depth - 1].first, slot, target;
        bool is_edge = stack[depth - 1].is_edge;
        if (is_edge) {
            depth--;
            slot = plan->edges[at].slot;
            target = plan->edges[at].target;
            if (slot == FLOW_GRAPH_NONE) {
                start = target;
                continue;
            }
        } else {
            if (at == stack[depth - 1].end) {
                depth--;
                continue;
            }
            stack[depth - 1].first++;
            slot = at;
            target = plan->slots[slot].target;
        }
        uint32_t join = plan->nodes[target].join;
        alive[join] |= is_edge;
        assert_true(undecided[join] > 0);
        if (--undecided[join])
            continue;
        if (alive[join]) {
            start = target;
        } else {
            stack[depth].is_edge = false;
            stack[depth].first = plan->nodes[target].dead_first;
            stack[depth++].end = plan->nodes[target].dead_end;
        }
    }
    for (uint32_t j = 0; j < plan->join_count; j++)
        assert_int_equal(undecided[j], 0);
    free(alive);
    free(undecided);
}

/* The same by looking at nodes in topological order. */
static void run_simply(const FlowPlan *plan, const uint32_t *choice, const bool *stops, bool *ran,
                       bool *live_edge)
{
    ran[0] = true;
    for (uint32_t e = 0; e < plan->edge_count; e++) {
        const FlowPlanEdge *edge = &plan->edges[e];
        const FlowPlanNode *source = &plan->nodes[edge->source];
        const FlowPlanBranch *taken = &source->branches[choice[edge->source] % source->def->branch_count];
        live_edge[e] =
            ran[edge->source] && !stops[edge->source] && e >= taken->edge_first && e < taken->edge_end;
        ran[edge->target] |= live_edge[e];
    }
}

static void test_random_dead_paths(void **state)
{
    (void)state;
    FlowBuf notation;
    flow_buf_init(&notation, 0);
    seed = 7;
    for (int round = 0; round < 3000; round++) {
        random_notation(&notation, 3 + dice(16), "cab");
        Built built = build(flow_buf_text(&notation));
        const FlowPlan *plan = flow_analyzer_loop(built.analyzer, 0);
        uint32_t choice[32];
        bool stops[32], by_slots[32] = {false}, simply[32] = {false}, live_edge[128] = {false};
        for (uint32_t i = 0; i < plan->node_count; i++) {
            choice[i] = plan->nodes[i].def->branch_count > 1 ? dice(2) : 0;
            stops[i] = i && dice(8) == 0;
        }
        run_by_slots(plan, choice, stops, by_slots);
        run_simply(plan, choice, stops, simply, live_edge);
        if (memcmp(by_slots, simply, sizeof(simply)) != 0)
            fail_msg("differs: %s", flow_buf_text(&notation));
        done(&built);
    }
    flow_buf_done(&notation);
}

/* Does one unit with these choices join across a non-blocking node? By live dominators, as sets of nodes. */
static bool joins_across(const FlowPlan *plan, const uint32_t *choice)
{
    bool stops[32] = {false}, ran[32] = {false}, live_edge[128] = {false};
    uint32_t above[32] = {0}, reaches[32] = {0}; /* dominators, itself included; what it reaches */
    run_simply(plan, choice, stops, ran, live_edge);
    for (uint32_t i = plan->node_count; i-- > 0;) {
        reaches[i] = 1u << i;
        for (uint32_t e = plan->nodes[i].edge_first; e < plan->nodes[i].edge_end; e++) {
            if (live_edge[e])
                reaches[i] |= reaches[plan->edges[e].target];
        }
    }
    above[0] = 1;
    for (uint32_t i = 1; i < plan->node_count; i++) {
        uint32_t common = UINT32_MAX, ways = 0;
        for (uint32_t e = 0; e < plan->edge_count; e++) {
            if (live_edge[e] && plan->edges[e].target == i) {
                common &= above[plan->edges[e].source];
                ways++;
            }
        }
        if (!ways)
            continue;
        above[i] = common | 1u << i;
        if (ways < 2)
            continue;
        /* The fork is the lowest of the common ones, which is the last. */
        uint32_t fork = 31 - (uint32_t)__builtin_clz(common);
        for (uint32_t n = fork + 1; n < i; n++) {
            if (plan->nodes[n].is_boundary && ran[n] && reaches[fork] >> n & 1 && reaches[n] >> i & 1)
                return true;
        }
    }
    return false;
}

static void test_random_joins(void **state)
{
    (void)state;
    FlowBuf notation;
    flow_buf_init(&notation, 0);
    seed = 11;
    int found = 0, too_strict = 0, fine = 0;
    for (int round = 0; round < 4000; round++) {
        random_notation(&notation, 3 + dice(9), round % 2 ? "cnab" : "cnca");
        Built built = build(flow_buf_text(&notation));
        const FlowPlan *plan = flow_analyzer_loop(built.analyzer, 0);
        bool said = false, wanted = false;
        for (size_t i = 0; i < built.problems.count; i++)
            said |= built.problems.items[i].code == FLOW_PROBLEM_JOIN_ACROSS_NON_BLOCKING;
        for (uint32_t choices = 0; choices < 1u << plan->node_count && !wanted; choices++) {
            uint32_t choice[32];
            bool twice = false;
            for (uint32_t i = 0; i < plan->node_count; i++) {
                choice[i] = choices >> i & 1;
                twice |= choice[i] && plan->nodes[i].def->branch_count < 2;
            }
            wanted = !twice && joins_across(plan, choice);
        }
        if (wanted && !said)
            fail_msg("missed: %s", flow_buf_text(&notation));
        if (said && !wanted)
            too_strict++;
        found += wanted;
        fine += !wanted && !said;
        done(&built);
    }
    flow_buf_done(&notation);
    /* Only conditionals that cross each other twice can be misjudged, and only towards refusing. */
    print_message("joins: %d wrong, %d fine, %d refused without need\n", found, fine, too_strict);
    assert_true(found > 300 && fine > 300);
    assert_true(too_strict * 100 < found);
}

/* ---- hostile sizes ---- */

static FlowValue text(const char *format, uint32_t a)
{
    char buffer[32];
    snprintf(buffer, sizeof(buffer), format, a);
    return flow_value_string(buffer);
}

/* `shape(i, &source, &target)` gives edge i. */
static FlowValue large(uint32_t nodes, uint32_t edges, const char *first, const char *type,
                       void (*shape)(uint32_t i, uint32_t *source, uint32_t *target))
{
    FlowValue node_list = flow_value_array(), edge_list = flow_value_array(), workflow = flow_value_object();
    for (uint32_t i = 0; i < nodes; i++) {
        FlowMember members[] = {{flow_value_string("id"), text("%u", i)},
                                {flow_value_string("type"), flow_value_string(i ? type : first)}};
        FlowValue one;
        assert_int_equal(flow_object_from_take(members, 2, &one, NULL), FLOW_OK);
        assert_int_equal(flow_array_push_take(&node_list, one, NULL), FLOW_OK);
    }
    for (uint32_t i = 0; i < edges; i++) {
        uint32_t source, target;
        shape(i, &source, &target);
        FlowMember members[] = {{flow_value_string("id"), text("e%u", i)},
                                {flow_value_string("source"), text("%u", source)},
                                {flow_value_string("target"), text("%u", target)}};
        FlowValue one;
        assert_int_equal(flow_object_from_take(members, 3, &one, NULL), FLOW_OK);
        assert_int_equal(flow_array_push_take(&edge_list, one, NULL), FLOW_OK);
    }
    assert_int_equal(flow_object_set_take(&workflow, "nodes", node_list, NULL), FLOW_OK);
    assert_int_equal(flow_object_set_take(&workflow, "edges", edge_list, NULL), FLOW_OK);
    return workflow;
}

static void chain(uint32_t i, uint32_t *source, uint32_t *target)
{
    *source = i;
    *target = i + 1;
}

/* A chain, and on top of it edges that skip: every node is a join. */
static void ladder(uint32_t i, uint32_t *source, uint32_t *target)
{
    *source = i % 9999;
    *target = *source + 1 + i / 9999 * 7;
    if (*target > 9999)
        *target = 9999;
}

static void ring(uint32_t i, uint32_t *source, uint32_t *target)
{
    *source = 1 + i % 9999;
    *target = 1 + (i + 1 + i / 9999 * 37) % 9999;
}

static void check_large(const char *name, FlowValue definition, size_t wanted_errors)
{
    FlowRegistry *registry = test_registry();
    FlowBuilder builder = {.registry = registry, .workflow_id = "wf"};
    FlowProblems problems;
    flow_problems_init(&problems);
    int64_t start = flow_clock_mono_ns(flow_clock_real());
    FlowGraph *graph = flow_builder_build(&builder, definition, &problems);
    FlowAnalyzer *analyzer = flow_analyzer_new(graph);
    int64_t took = flow_clock_mono_ns(flow_clock_real()) - start;
    print_message("%s: %lld ms, %zu errors\n", name, (long long)(took / FLOW_NS_PER_MS), problems.errors);
    if (wanted_errors == SIZE_MAX)
        assert_true(problems.errors > 0);
    else
        assert_int_equal(problems.errors, wanted_errors);
    /* Generous, for sanitizers and a busy machine: quadratic would be minutes. */
    assert_true(took < 20 * FLOW_NS_PER_S);
    flow_analyzer_unref(analyzer);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_registry_free(registry);
    flow_value_unref(definition);
}

static void star(uint32_t i, uint32_t *source, uint32_t *target)
{
    *source = i % 9999;
    *target = 9999;
}

static void test_large(void **state)
{
    (void)state;
    check_large("a chain of 10,000", large(10000, 9999, "test-producer", "test-node", chain), 0);
    check_large("10,000 joins", large(10000, 99990, "test-producer", "test-node", ladder), 0);
    check_large("non-blocking joins", large(10000, 99990, "test-producer", "test-non-blocking", ladder),
                SIZE_MAX);
    check_large("conditions", large(10000, 99990, "test-producer", "test-condition", ladder), SIZE_MAX);
    check_large("for-each nodes", large(10000, 99990, "test-producer", "test-for-each", ladder), 0);
    check_large("one component", large(10000, 99990, "test-producer", "test-node", ring), 1);
    check_large("10,000 producers", large(10000, 99990, "test-producer", "test-producer", star), 99990);
    check_large("too many nodes", large(10001, 0, "test-producer", "test-node", chain), 1);
}

int main(void)
{
    enum { PLANS = FLOW_COUNT(plan_rows), QUEUES = FLOW_COUNT(queue_rows) };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_ends),         cmocka_unit_test(test_dead_ranges),
        cmocka_unit_test(test_pools),        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_first_node),   cmocka_unit_test(test_random_dead_paths),
        cmocka_unit_test(test_random_joins), cmocka_unit_test(test_large),
    };
    static struct CMUnitTest tests[PLANS + QUEUES + FLOW_COUNT(others)];
    for (size_t i = 0; i < PLANS; i++)
        tests[i] = (struct CMUnitTest){plan_rows[i].name, check_plan, NULL, NULL, (void *)&plan_rows[i]};
    for (size_t i = 0; i < QUEUES; i++)
        tests[PLANS + i] =
            (struct CMUnitTest){queue_rows[i].name, check_queues, NULL, NULL, (void *)&queue_rows[i]};
    memcpy(tests + PLANS + QUEUES, others, sizeof(others));
    return cmocka_run_group_tests_name("analyzer", tests, NULL, NULL);
}
