/*
 * analyzer.h - FlowAnalyzer: what one wants to know about a graph: its loops with members, ends and pool,
 * queues between loops, what stands upstream and downstream; and per loop a FlowPlan, everything that a
 * FlowRunner needs precomputed. Immutable once made; any thread may read it; everyone who keeps it takes a
 * reference.
 */
#ifndef FLOW_ENGINE_ANALYZER_H
#define FLOW_ENGINE_ANALYZER_H

#include "engine/graph.h"

/*
 * A plan has nodes and edges of its own, known by their index in the plan: node 0 is the producer, every node
 * comes after all that lead to it, and the body of a for-each comes directly behind it. A graph's node that
 * two producers reach is in two plans. Queue edges are in no plan.
 *
 * Dead-path elimination. A node with several incoming edges (a join) waits until each of them is decided.
 * Edges into joins have slots, numbered so that what dies together is one range: when a branch isn't taken,
 * exactly the slots [dead_first, dead_end) of that branch are dead; when a node ends its branch, fails to be
 * reached or is dead itself, those of all its branches: the range of the node. A join whose last slot died
 * without a live one is dead: its own range follows. Ranges never look behind a join, nor into or out of the
 * body of a for-each: the slots of a body are decided anew for each element.
 */
typedef struct FlowPlanEdge {
    uint32_t edge;   /* in the graph */
    uint32_t source; /* in the plan */
    uint32_t target; /* in the plan */
    uint32_t slot;   /* in FlowPlan.slots, when the target is a join; otherwise FLOW_GRAPH_NONE */
} FlowPlanEdge;

typedef struct FlowPlanBranch {
    uint32_t edge_first, edge_end; /* in FlowPlan.edges: targets, in edge order */
    uint32_t dead_first, dead_end; /* slots that die when this branch isn't taken */
} FlowPlanBranch;

typedef struct FlowPlanNode {
    uint32_t node; /* in the graph */
    const FlowGraphNode *def;
    const FlowPlanBranch *branches; /* as many as def->branch_count, same order */
    uint32_t edge_first,
        edge_end; /* in FlowPlan.edges: all that leave it, branch by branch (a for-each: both) */
    uint32_t dead_first,
        dead_end;      /* slots that die when nothing leaves this node (a for-each: of `default` only) */
    uint32_t in_count; /* incoming edges in this loop; > 1: a join */
    uint32_t join;     /* 0 … join_count - 1 for a join, otherwise FLOW_GRAPH_NONE */
    uint32_t fork;     /* the nearest node on all ways from the producer to here; itself for node 0 */
    uint32_t body_of;  /* the innermost for-each whose body this node is in, in the plan; otherwise
                          FLOW_GRAPH_NONE */
    uint32_t
        body_end; /* of a for-each: its body is the nodes [own index + 1, body_end), bodies within included */
    uint32_t body_slot_first, body_slot_end; /* of a for-each: all slots of joins in its body */
    uint32_t body_join_first, body_join_end; /* of a for-each: all joins in its body */
    bool is_boundary; /* non-blocking, and not in a body: the producer doesn't wait for what is behind it */
    bool is_fork;     /* has a branch with several edges, and a join that two of them can reach */
} FlowPlanNode;

/* An edge into a join. */
typedef struct FlowPlanSlot {
    uint32_t target; /* the join, in the plan */
    uint32_t edge;   /* in FlowPlan.edges */
    uint32_t rank;   /* 0 … in_count - 1: its place among the join's incoming edges, in edge order */
} FlowPlanSlot;

typedef struct FlowPlan {
    const FlowPlanNode *nodes;
    const FlowPlanEdge *edges;
    const FlowPlanSlot *slots;
    uint32_t node_count, edge_count, slot_count, join_count;
    /* Nodes, in the plan, where a branch ends for the producer: non-blocking ones, and those from which no edge leads on.
     * What is behind a non-blocking node or in the body of a for-each is left out. */
    const uint32_t *ends;
    uint32_t end_count;
    FlowPoolKind pool;
    const char *pool_reason; /* "THREAD because of node 4 (file-reader)" */
    uint32_t pool_node;      /* in the plan; FLOW_GRAPH_NONE when no node asks for more than ASYNC */
    bool has_boundary;       /* something may go on in the background */
} FlowPlan;

typedef struct FlowAnalyzer FlowAnalyzer;

/* Takes a reference of its own on the graph, which must be sound or at least free of cycles in a loop (those
 * of an unsound graph are left out of the plans). */
FlowAnalyzer *flow_analyzer_new(FlowGraph *graph);
FlowAnalyzer *flow_analyzer_ref(FlowAnalyzer *analyzer);
FlowAnalyzer *flow_analyzer_unref(FlowAnalyzer *analyzer); /* always NULL */

FlowGraph *flow_analyzer_graph(const FlowAnalyzer *analyzer); /* borrowed */

/* One loop per producer, in node order. */
uint32_t flow_analyzer_loop_count(const FlowAnalyzer *analyzer);
const FlowPlan *flow_analyzer_loop(const FlowAnalyzer *analyzer, uint32_t index);
/* The loop of this producer; NULL when it is none. */
const FlowPlan *flow_analyzer_loop_of(const FlowAnalyzer *analyzer, uint32_t producer);

/* Where reading begins: the first producer that no queue of this workflow feeds, else the first producer;
 * else FLOW_GRAPH_NONE. */
uint32_t flow_analyzer_first_node(const FlowAnalyzer *analyzer);

/* A set of nodes of the graph, in the order of the definition; `nodes` is yours to free(). */
typedef struct FlowNodeSet {
    uint32_t *nodes;
    uint32_t count;
} FlowNodeSet;

/* All nodes on a way to (from) `node`, itself left out. `through_queues`: ways lead from a queue's writers to
 * its readers, too. */
FlowNodeSet flow_analyzer_upstream(const FlowAnalyzer *analyzer, uint32_t node, bool through_queues);
FlowNodeSet flow_analyzer_downstream(const FlowAnalyzer *analyzer, uint32_t node, bool through_queues);
/* All nodes on a way from `from` to `to`, both included; empty when there is none. */
FlowNodeSet flow_analyzer_chain(const FlowAnalyzer *analyzer, uint32_t from, uint32_t to,
                                bool through_queues);
FlowNodeSet flow_analyzer_non_blocking(const FlowAnalyzer *analyzer);

#endif
