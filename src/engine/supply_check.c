/*
 * supply_check.c - warns of templates that read a part of `data` which no node before them can supply.
 *
 * A node supplies its output_key; one that may do more than that (a data-transformer, a plugin, a reader of a queue that
 * others can write) makes everything possible behind it. What can be there is the union over all ways, so only what no
 * way can bring is reported: bit n of a set stands for the n-th distinct key, EVERYTHING for anything at all.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "engine/graph_internal.h"
#include "forms/form.h"

enum { KEYS_MAX = 63 };
#define EVERYTHING (UINT64_C(1) << KEYS_MAX)

typedef struct Supply {
    const FlowGraph *graph;
    FlowProblems *problems;
    const char *keys[KEYS_MAX];
    uint32_t key_count;
    uint64_t *before;          /* per node: what may be in its input */
    uint64_t *own;             /* per node: what it adds */
    const FlowGraphNode *node; /* whose templates are looked at */
} Supply;

/* ---- what is there ---- */

static uint64_t bit_of(Supply *self, const char *key)
{
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (strcmp(self->keys[i], key) == 0)
            return UINT64_C(1) << i;
    }
    if (self->key_count == KEYS_MAX)
        return EVERYTHING;
    self->keys[self->key_count] = key;
    return UINT64_C(1) << self->key_count++;
}

static uint64_t supplied_by(Supply *self, const FlowGraphNode *node)
{
    if (!node->type)
        return EVERYTHING;
    if (node->type->flags & FLOW_NODE_READS_QUEUE)
        return 0; /* what its queue brings is added on the way */
    if (!(node->type->flags & FLOW_NODE_ONLY_ADDS))
        return EVERYTHING;
    return node->type->output_key ? bit_of(self, node->type->output_key) : 0;
}

/* What its writers put into a queue; anybody may push into one that was named. */
static uint64_t in_queue(const Supply *self, const FlowGraphQueue *queue)
{
    uint64_t set = queue->is_mapped ? 0 : EVERYTHING;
    for (uint32_t i = 0; i < queue->writer_count; i++) {
        const FlowGraphNode *writer = &self->graph->nodes[queue->writers[i]];
        const FlowValue *payload = flow_object_get(writer->form_values, "payload");
        bool is_own = payload && !flow_value_is_null(*payload);
        set |= is_own ? EVERYTHING : self->before[writer->index] | self->own[writer->index];
    }
    return set;
}

/* Nodes whose set has grown and that have not told those behind them yet. */
typedef struct Work {
    uint32_t *nodes; /* a ring: each node stands in it at most once */
    uint8_t *waits;
    uint32_t first, count, size;
} Work;

static void grow(const Supply *self, Work *work, uint32_t node, uint64_t set)
{
    if ((self->before[node] | set) == self->before[node])
        return;
    self->before[node] |= set;
    if (work->waits[node])
        return;
    work->waits[node] = 1;
    work->nodes[(work->first + work->count++) % work->size] = node;
}

/* A set has 64 bits, so each node comes at most so often. */
static void spread_in_loops(const Supply *self, Work *work)
{
    while (work->count) {
        const FlowGraphNode *node = &self->graph->nodes[work->nodes[work->first]];
        work->first = (work->first + 1) % work->size;
        work->count--;
        work->waits[node->index] = 0;
        uint64_t set = self->before[node->index] | self->own[node->index];
        for (uint32_t b = 0; b < node->branch_count; b++) {
            for (uint32_t e = 0; e < node->branches[b].edge_count; e++) {
                const FlowGraphEdge *edge = &self->graph->edges[node->branches[b].edges[e]];
                if (!edge->is_queue)
                    grow(self, work, edge->target, set);
            }
        }
    }
}

/* False when it was given up: a hostile chain of loops. */
static bool spread(const Supply *self)
{
    enum { ROUNDS_MAX = 100 };
    const FlowGraph *graph = self->graph;
    Work work = {.size = graph->node_count + 1};
    work.nodes = flow_calloc(work.size, sizeof(*work.nodes));
    work.waits = flow_calloc(work.size, 1);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        work.waits[i] = 1;
        work.nodes[work.count++] = i;
    }
    int rounds = 0;
    for (; work.count && rounds < ROUNDS_MAX; rounds++) {
        spread_in_loops(self, &work);
        for (uint32_t q = 0; q < graph->queue_count; q++) {
            uint64_t set = in_queue(self, &graph->queues[q]);
            for (uint32_t i = 0; i < graph->queues[q].reader_count; i++)
                grow(self, &work, graph->queues[q].readers[i], set);
        }
    }
    free(work.waits);
    free(work.nodes);
    return rounds < ROUNDS_MAX;
}

/* ---- what is read ---- */

/* `counter_2` stands for a second `counter`. */
static bool is_supplied(const Supply *self, uint64_t set, const char *key, size_t len)
{
    size_t stem = len;
    while (stem > 1 && key[stem - 1] >= '0' && key[stem - 1] <= '9')
        stem--;
    stem = stem < len && stem > 1 && key[stem - 1] == '_' ? stem - 1 : len;
    for (uint32_t i = 0; i < self->key_count; i++) {
        size_t known = strlen(self->keys[i]);
        if (set >> i & 1 && (known == len || known == stem) && memcmp(self->keys[i], key, known) == 0)
            return true;
    }
    return false;
}

static void report(const Supply *self, size_t field_index, const FlowTemplatePath *path, const char *key,
                   size_t len, uint64_t set)
{
    const char *there[KEYS_MAX] = {NULL}, *nearest;
    size_t count = 0;
    char field[FLOW_GRAPH_FIELD_TEXT], brief[FLOW_BRIEF_TEXT], advice[160] = "";
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (set >> i & 1)
            there[count++] = self->keys[i];
    }
    nearest = flow_nearest_name(key, len, there, count);
    flow_brief(brief, key, len);
    if (nearest)
        snprintf(advice, sizeof(advice), "did you mean data.%s?", nearest);
    else if (count == 1)
        snprintf(advice, sizeof(advice), "there is only data.%s", there[0]);
    else
        snprintf(advice, sizeof(advice), "connect the node that makes it, or ask `data.%s is defined`",
                 brief);
    flow_graph__form_field(field, self->node, flow_form_schema_name(self->node->schema, field_index));
    flow_problems_add(self->problems, FLOW_PROBLEM_TEMPLATE_FIELD_UNKNOWN, self->node->id, NULL, field,
                      "line %u, column %u: no node before '%s' supplies data.%s: %s", path->line,
                      path->column, self->node->id, brief, advice);
}

static void look_at(size_t field, const FlowTemplate *tmpl, void *data)
{
    const Supply *self = data;
    uint64_t set = self->before[self->node->index];
    /* A producer's templates see an empty input. */
    for (size_t i = 0; i < flow_template_path_count(tmpl); i++) {
        const FlowTemplatePath *path = flow_template_path(tmpl, i);
        if (path->guarded || strncmp(path->text, "data.", 5) != 0)
            continue;
        const char *key = path->text + 5;
        size_t len = strcspn(key, ".[");
        if (len && !is_supplied(self, set, key, len))
            report(self, field, path, key, len, set);
    }
}

void flow_graph__check_supply(const FlowGraph *graph, FlowProblems *problems)
{
    if (graph->workflow->undefined_lenient)
        return;
    Supply self = {.graph = graph, .problems = problems};
    self.before = flow_calloc((size_t)graph->node_count + 1, sizeof(*self.before));
    self.own = flow_calloc((size_t)graph->node_count + 1, sizeof(*self.own));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const FlowGraphNode *node = &graph->nodes[i];
        self.own[i] = supplied_by(&self, node);
        /* Nothing leads there, which is another problem than what its templates read. */
        if (!node->in_count && !flow_graph_node_is(node, FLOW_NODE_PRODUCER))
            self.before[i] = EVERYTHING;
    }
    for (uint32_t i = 0; i < graph->own->dropped_count; i++)
        self.before[graph->own->dropped[i].target] = EVERYTHING;
    bool is_known = spread(&self);
    for (uint32_t i = 0; i < graph->node_count && is_known; i++) {
        self.node = &graph->nodes[i];
        if (self.node->form && !(self.before[i] & EVERYTHING))
            flow_form_each_template(self.node->form, look_at, &self);
    }
    free(self.own);
    free(self.before);
}
