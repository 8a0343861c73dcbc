/*
 * queue_mapper.c - QueueMapper: gives every reader its queue and every writer its queues.
 *
 * A reader's queue: the name in its own form; else the one in a form of its writers; else a mapped one,
 * `{workflow_id}.queue_{writer}_{reader}` with the first writer in edge order. A writer pushes to the queues of all
 * its readers; without any, to the one that its own form names.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "engine/graph_internal.h"
#include "engine/post_process.h"
#include "template/template.h"

/* Longer mapped names keep their beginning and end in a hash, so that a store's keys stay short. */
enum { MAPPED_NAME_MAX = 250, MAPPED_NAME_KEPT = 200 };

typedef struct Queue {
    const char *name, *short_name;
    bool is_mapped;
    uint32_t writer_count, reader_count;
} Queue;

typedef struct Mapper {
    FlowGraph *graph;
    FlowProblems *problems;
    const char **explicit_names; /* per node; NULL: none */
    const char **queue_of;       /* per reader */
    FlowMap queues;              /* name -> Queue */
    Queue *all;
    uint32_t count;
} Mapper;

static bool is_reader(const FlowGraphNode *node)
{
    return flow_graph_node_has(node, FLOW_NODE_READS_QUEUE);
}

static bool is_writer(const FlowGraphNode *node)
{
    return flow_graph_node_has(node, FLOW_NODE_WRITES_QUEUE);
}

/* ---- explicit names ---- */

static const char *read_name(Mapper *self, const FlowGraphNode *node)
{
    const FlowValue *value = flow_object_get(node->form_values, "queue_name");
    if (!value || flow_value_kind(*value) != FLOW_VALUE_STRING)
        return NULL; /* another kind is the form's to complain about */
    const char *text = flow_value_text(value);
    size_t len = flow_value_length(value);
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *text))
        text++, len--;
    if (!len)
        return NULL;
    if (flow_id_valid(text, len))
        return flow_graph__text(self->graph, text, len);
    char field[FLOW_GRAPH_FIELD_TEXT], brief[FLOW_BRIEF_TEXT];
    flow_graph__form_field(field, node, "queue_name");
    if (flow_template_is_template(text, len))
        flow_problems_add(
            self->problems, FLOW_PROBLEM_QUEUE_NAME_INVALID, node->id, NULL, field,
            "queue_name can't be a template, since queues are joined before anything runs: name the "
            "queue itself");
    else
        flow_problems_add(self->problems, FLOW_PROBLEM_QUEUE_NAME_INVALID, node->id, NULL, field,
                          "queue_name '%s' is no name: use 1 to %d characters out of A-Z a-z 0-9 _ . -",
                          flow_brief(brief, text, len), FLOW_ID_MAX);
    return NULL;
}

/* ---- queues ---- */

static Queue *get_queue(Mapper *self, const char *name, const char *short_name, bool is_mapped)
{
    Queue *queue = flow_map_find(&self->queues, name);
    if (queue)
        return queue;
    queue = &self->all[self->count++];
    *queue = (Queue){.name = name, .short_name = short_name, .is_mapped = is_mapped};
    if (!flow_map_put(&self->queues, name, queue))
        abort();
    return queue;
}

/* A name that no queue of this workflow has yet, also none that a form names. */
static void map_queue(Mapper *self, const FlowGraphNode *writer, const FlowGraphNode *reader, FlowMap *taken)
{
    FlowBuf name;
    flow_buf_init(&name, 0);
    flow_buf_str(&name, self->graph->workflow_id);
    if (name.len)
        flow_buf_byte(&name, '.');
    size_t short_from = name.len;
    flow_buf_str(&name, "queue_");
    flow_id_encode(&name, writer->id, strlen(writer->id));
    flow_buf_byte(&name, '_');
    flow_id_encode(&name, reader->id, strlen(reader->id));
    if (name.len > MAPPED_NAME_MAX) {
        static const uint64_t key[2] = {0x666c6f7771756575, 0x656e616d65733031}; /* stored: never change it */
        FlowHash128 hash = flow_siphash128(name.data, name.len, key);
        name.len = MAPPED_NAME_KEPT;
        flow_buf_printf(&name, ".%016llx%016llx", (unsigned long long)hash.high,
                        (unsigned long long)hash.low);
    }
    size_t plain = name.len;
    /* Ends: there are fewer taken names than numbers. */
    for (unsigned number = 2; flow_map_has(taken, name.data, name.len); number++) {
        name.len = plain;
        flow_buf_printf(&name, "_%u", number);
    }
    const char *text = flow_graph__text(self->graph, name.data, name.len);
    flow_buf_done(&name);
    if (!flow_map_put(taken, text, (void *)text))
        abort();
    self->queue_of[reader->index] = get_queue(self, text, text + short_from, true)->name;
}

static void report_conflict(Mapper *self, const FlowGraphNode *node, const char *edge_id, const char *mine,
                            const FlowGraphNode *other, const char *theirs)
{
    char field[FLOW_GRAPH_FIELD_TEXT];
    flow_problems_add(
        self->problems, FLOW_PROBLEM_QUEUE_NAME_CONFLICT, node->id, edge_id,
        flow_graph__form_field(field, node, "queue_name"),
        "'%s' names the queue '%s', but '%s', which shares it, names '%s': name it in one place", node->id,
        mine, other->id, theirs);
}

/* The reader's name, or what its writers say; reports what doesn't fit together. */
static const char *explicit_queue(Mapper *self, const FlowGraphNode *reader,
                                  const FlowGraphNode **ret_first_writer)
{
    const FlowGraph *graph = self->graph;
    const FlowGraphNode *namer = self->explicit_names[reader->index] ? reader : NULL;
    const char *name = self->explicit_names[reader->index];
    *ret_first_writer = NULL;
    for (uint32_t i = 0; i < reader->in_count; i++) {
        const FlowGraphEdge *edge = &graph->edges[reader->in_edges[i]];
        const FlowGraphNode *writer = &graph->nodes[edge->source];
        const char *theirs = self->explicit_names[writer->index];
        if (!*ret_first_writer)
            *ret_first_writer = writer;
        if (!theirs)
            continue;
        if (name && strcmp(name, theirs) != 0)
            report_conflict(self, writer, edge->id, theirs, namer, name);
        if (!name) {
            name = theirs;
            namer = writer;
        }
    }
    return name;
}

static void map_readers(Mapper *self)
{
    FlowGraph *graph = self->graph;
    FlowMap taken;
    flow_map_init(&taken);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const char *name = self->explicit_names[i];
        if (name && !flow_map_put(&taken, name, (void *)name))
            abort();
    }
    /* By the edges' order: when two pairs give one name, the later one gets the number. */
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const FlowGraphNode *reader = &graph->nodes[graph->edges[e].target];
        if (!graph->edges[e].is_queue || self->queue_of[reader->index])
            continue;
        const FlowGraphNode *writer;
        const char *name = explicit_queue(self, reader, &writer);
        if (name)
            self->queue_of[reader->index] = get_queue(self, name, name, false)->name;
        else
            map_queue(self, writer, reader, &taken);
    }
    flow_map_done(&taken, NULL);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const FlowGraphNode *reader = &graph->nodes[i];
        if (!is_reader(reader) || self->queue_of[i])
            continue;
        const char *name = self->explicit_names[i];
        if (name) {
            self->queue_of[i] = get_queue(self, name, name, false)->name;
        } else {
            char field[FLOW_GRAPH_FIELD_TEXT];
            flow_problems_add(self->problems, FLOW_PROBLEM_QUEUE_UNNAMED, reader->id, NULL,
                              flow_graph__form_field(field, reader, "queue_name"),
                              "queue-reader '%s' has nothing to read: name a queue, or draw an edge from a "
                              "queue-writer to it",
                              reader->id);
        }
    }
}

/* ---- into the graph ---- */

/* The name appears in the form, too, where people and dead letters look for it. */
static void fill_in(FlowGraphNode *node)
{
    if (!node->queue_count)
        return;
    FlowValue name = flow_value_string(node->queues[0]);
    (void)flow_object_set_take(&node->form_values, "queue_name", name, NULL);
}

static void set_queues(FlowGraph *graph, FlowGraphNode *node, const char **names, uint32_t count)
{
    const char **copy = flow_graph__alloc(graph, count, sizeof(*copy));
    memcpy(copy, names, count * sizeof(*copy));
    node->queues = copy;
    node->queue_count = count;
    fill_in(node);
}

static void map_writer(Mapper *self, FlowGraphNode *writer, const char **names, uint32_t *last_seen)
{
    FlowGraph *graph = self->graph;
    uint32_t count = 0, edges = 0;
    for (uint32_t b = 0; b < writer->branch_count; b++) {
        const FlowGraphBranch *branch = &writer->branches[b];
        for (uint32_t i = 0; i < branch->edge_count; i++) {
            const FlowGraphEdge *edge = &graph->edges[branch->edges[i]];
            const char *name = edge->is_queue ? self->queue_of[edge->target] : NULL;
            if (!name)
                continue;
            edges++;
            uint32_t queue = (uint32_t)((Queue *)flow_map_find(&self->queues, name) - self->all);
            if (last_seen[queue] == writer->index + 1)
                continue;
            last_seen[queue] = writer->index + 1;
            names[count++] = name;
        }
    }
    if (!edges && self->explicit_names[writer->index]) {
        const char *name = self->explicit_names[writer->index];
        names[count++] = get_queue(self, name, name, false)->name;
    }
    if (count) {
        set_queues(graph, writer, names, count);
        return;
    }
    if (flow_object_get(writer->form_values, "queue_name") && !edges) {
        /* It was named, only wrongly: that problem is reported already. */
        const FlowValue *value = flow_object_get(writer->form_values, "queue_name");
        if (flow_value_kind(*value) != FLOW_VALUE_NULL &&
            !(flow_value_kind(*value) == FLOW_VALUE_STRING && flow_value_length(value) == 0))
            return;
    }
    char field[FLOW_GRAPH_FIELD_TEXT];
    flow_problems_add(self->problems, FLOW_PROBLEM_QUEUE_UNNAMED, writer->id, NULL,
                      flow_graph__form_field(field, writer, "queue_name"),
                      "queue-writer '%s' has no queue to write to: name one, or draw an edge from it to a "
                      "queue-reader",
                      writer->id);
}

/* The list of queues with who reads and writes them. */
static void list_queues(Mapper *self)
{
    FlowGraph *graph = self->graph;
    FlowGraphQueue *queues = flow_graph__alloc(graph, self->count, sizeof(*queues));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < graph->node_count; i++) {
            const FlowGraphNode *node = &graph->nodes[i];
            for (uint32_t q = 0; q < node->queue_count; q++) {
                FlowGraphQueue *queue =
                    &queues[(Queue *)flow_map_find(&self->queues, node->queues[q]) - self->all];
                uint32_t *count = is_reader(node) ? &queue->reader_count : &queue->writer_count;
                if (round == 1)
                    ((uint32_t *)(is_reader(node) ? queue->readers : queue->writers))[*count] = i;
                (*count)++;
            }
        }
        for (uint32_t q = 0; q < self->count && round == 0; q++) {
            queues[q].name = self->all[q].name;
            queues[q].short_name = self->all[q].short_name;
            queues[q].is_mapped = self->all[q].is_mapped;
            queues[q].readers = flow_graph__alloc(graph, queues[q].reader_count, sizeof(uint32_t));
            queues[q].writers = flow_graph__alloc(graph, queues[q].writer_count, sizeof(uint32_t));
            queues[q].reader_count = queues[q].writer_count = 0;
        }
    }
    graph->queues = queues;
    graph->queue_count = self->count;
}

void flow_queue_mapper_run(FlowGraph *graph, FlowProblems *problems)
{
    Mapper self = {.graph = graph, .problems = problems};
    self.explicit_names = flow_calloc(graph->node_count + 1, sizeof(*self.explicit_names));
    self.queue_of = flow_calloc(graph->node_count + 1, sizeof(*self.queue_of));
    /* Each reader and each writer brings at most one queue of its own. */
    self.all = flow_calloc(graph->node_count + 1, sizeof(*self.all));
    flow_map_init(&self.queues);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const FlowGraphNode *node = &graph->nodes[i];
        if (is_reader(node) || is_writer(node))
            self.explicit_names[i] = read_name(&self, node);
    }
    map_readers(&self);
    const char **names = flow_calloc(graph->edge_count + 1, sizeof(*names));
    uint32_t *last_seen = flow_calloc(graph->node_count + 1, sizeof(*last_seen));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        FlowGraphNode *node = &graph->nodes[i];
        if (is_reader(node) && self.queue_of[i])
            set_queues(graph, node, &self.queue_of[i], 1);
        else if (is_writer(node))
            map_writer(&self, node, names, last_seen);
    }
    list_queues(&self);
    free(last_seen);
    free(names);
    flow_map_done(&self.queues, NULL);
    free(self.all);
    free(self.queue_of);
    free(self.explicit_names);
}
