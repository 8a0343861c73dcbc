/*
 * queue_cycles.c - loops that feed each other through queues. Strongly connected components (Tarjan) of a graph whose
 * vertices are queues and nodes: a producer leads to the writers in its loop, a writer to its queues, a queue to its
 * readers, which are producers.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/join_check.h"

typedef struct Link {
    uint32_t from, to;
} Link;

struct FlowQueueCycles {
    const FlowGraph *graph;
    Link *links; /* ends: queues first, then nodes */
    size_t link_count, link_capacity;
};

static void link_to(FlowQueueCycles *self, uint32_t from, uint32_t to)
{
    if (self->link_count == self->link_capacity) {
        self->link_capacity = self->link_capacity ? self->link_capacity * 2 : 64;
        self->links = flow_realloc(self->links, self->link_capacity * sizeof(*self->links));
    }
    self->links[self->link_count++] = (Link){from, to};
}

FlowQueueCycles *flow_queue_cycles__new(const FlowGraph *graph)
{
    FlowQueueCycles *self = flow_new(FlowQueueCycles);
    self->graph = graph;
    for (uint32_t q = 0; q < graph->queue_count; q++) {
        const FlowGraphQueue *queue = &graph->queues[q];
        for (uint32_t i = 0; i < queue->writer_count; i++)
            link_to(self, graph->queue_count + queue->writers[i], q);
        for (uint32_t i = 0; i < queue->reader_count; i++)
            link_to(self, q, graph->queue_count + queue->readers[i]);
    }
    return self;
}

void flow_queue_cycles__free(FlowQueueCycles *cycles)
{
    free(cycles->links);
    free(cycles);
}

void flow_queue_cycles__add(FlowQueueCycles *self, const FlowPlan *plan)
{
    uint32_t queues = self->graph->queue_count;
    for (uint32_t i = 1; i < plan->node_count; i++) {
        if (plan->nodes[i].def->queue_count)
            link_to(self, queues + plan->nodes[0].node, queues + plan->nodes[i].node);
    }
}

typedef struct Frame {
    uint32_t vertex, next;
} Frame;

typedef struct Search {
    uint32_t *first, *to; /* links by their start */
    uint32_t *number, *low, *component, *open;
    uint32_t open_count, visited, components;
} Search;

static void search_from(Search *self, uint32_t root, Frame *stack)
{
    uint32_t depth = 0;
    stack[depth++] = (Frame){root, self->first[root]};
    self->number[root] = self->low[root] = ++self->visited;
    self->open[self->open_count++] = root;
    while (depth) {
        Frame *top = &stack[depth - 1];
        uint32_t vertex = top->vertex;
        if (top->next < self->first[vertex + 1]) {
            uint32_t target = self->to[top->next++];
            if (!self->number[target]) {
                self->number[target] = self->low[target] = ++self->visited;
                self->open[self->open_count++] = target;
                stack[depth++] = (Frame){target, self->first[target]};
            } else if (!self->component[target] && self->number[target] < self->low[vertex]) {
                self->low[vertex] = self->number[target];
            }
            continue;
        }
        depth--;
        if (depth && self->low[vertex] < self->low[stack[depth - 1].vertex])
            self->low[stack[depth - 1].vertex] = self->low[vertex];
        if (self->low[vertex] != self->number[vertex])
            continue;
        self->components++;
        uint32_t member;
        do {
            member = self->open[--self->open_count];
            self->component[member] = self->components;
        } while (member != vertex);
    }
}

/* Follows links inside the component of `start` (a loop) until a vertex comes twice, and names what it passes. */
static void report_ring(const FlowQueueCycles *self, const Search *search, uint32_t start, uint32_t *place,
                        uint32_t *way, FlowProblems *problems)
{
    enum { NAMED_MAX = 18 };
    uint32_t count = 0, at = start;
    while (!place[at]) {
        way[count++] = at;
        place[at] = count;
        for (uint32_t i = search->first[at]; i < search->first[at + 1]; i++) {
            if (search->component[search->to[i]] == search->component[at]) {
                at = search->to[i];
                break;
            }
        }
    }
    /* Begin with a reader, which stands for its loop. */
    const FlowGraph *graph = self->graph;
    uint32_t first = place[at] - 1, queues = graph->queue_count, length = count - first, shift = 0;
    while (way[first + shift] < queues ||
           !flow_graph_node_has(&graph->nodes[way[first + shift] - queues], FLOW_NODE_READS_QUEUE))
        shift++;
    const char *begin = graph->nodes[way[first + shift] - queues].id;
    char brief[FLOW_BRIEF_TEXT];
    FlowBuf text;
    flow_buf_init(&text, 4096);
    for (uint32_t i = 0; i < length && i < NAMED_MAX; i++) {
        uint32_t vertex = way[first + (i + shift) % length];
        const char *name =
            vertex < queues ? graph->queues[vertex].short_name : graph->nodes[vertex - queues].id;
        flow_buf_str(&text, i ? " -> " : "");
        flow_buf_str(&text, flow_brief(brief, name, strlen(name)));
    }
    flow_problems_add(
        problems, FLOW_PROBLEM_QUEUE_CYCLE, begin, NULL, NULL,
        "loops feed each other through queues: %s%s -> %s; they run until they are stopped, and can block "
        "each other when the queues are full",
        flow_buf_text(&text), length > NAMED_MAX ? " -> \xe2\x80\xa6" : "",
        flow_brief(brief, begin, strlen(begin)));
    flow_buf_done(&text);
}

void flow_queue_cycles__report(FlowQueueCycles *self, FlowProblems *problems)
{
    uint32_t vertices = self->graph->queue_count + self->graph->node_count;
    if (!self->link_count)
        return;
    uint32_t *memory = flow_calloc(7 * ((size_t)vertices + 2), sizeof(uint32_t));
    Search search = {.first = memory};
    search.number = memory + ((size_t)vertices + 2);
    search.low = search.number + vertices + 2;
    search.component = search.low + vertices + 2;
    search.open = search.component + vertices + 2;
    uint32_t *place = search.open + vertices + 2, *way = place + vertices + 2;
    search.to = flow_calloc(self->link_count, sizeof(uint32_t));
    for (size_t i = 0; i < self->link_count; i++)
        search.first[self->links[i].from + 1]++;
    for (uint32_t v = 0; v < vertices; v++)
        search.first[v + 1] += search.first[v];
    memcpy(way, search.first, (size_t)vertices * sizeof(*way));
    for (size_t i = 0; i < self->link_count; i++)
        search.to[way[self->links[i].from]++] = self->links[i].to;
    Frame *stack = flow_calloc((size_t)vertices + 1, sizeof(*stack));
    for (uint32_t v = 0; v < vertices; v++) {
        if (!search.number[v])
            search_from(&search, v, stack);
    }
    uint32_t *size = flow_calloc((size_t)search.components + 2, sizeof(*size));
    for (uint32_t v = 0; v < vertices; v++)
        size[search.component[v]]++;
    for (uint32_t v = 0; v < vertices; v++) {
        /* No vertex leads to itself, so a component of one is no cycle. */
        if (size[search.component[v]] < 2)
            continue;
        size[search.component[v]] = 0;
        report_ring(self, &search, v, place, way, problems);
    }
    free(size);
    free(stack);
    free(search.to);
    free(memory);
}
