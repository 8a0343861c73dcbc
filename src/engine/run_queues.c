/*
 * run_queues.c - which loops of a run feed which: a reader ends when all loops that write its queue have ended, unless
 * it stands on a cycle of queues, where each would wait for the other.
 */
#include <string.h>

#include "engine/run_internal.h"

/* The loops with a writer of one queue. */
typedef struct Writers {
    uint32_t *loops, count, capacity;
} Writers;

static void free_writers(void *value)
{
    Writers *writers = value;
    free(writers->loops);
    free(writers);
}

static void add_writer(FlowMap *queues, const char *queue, uint32_t loop)
{
    Writers *writers = flow_map_find(queues, queue);
    if (writers == NULL) {
        writers = flow_new(Writers);
        flow_map_put(queues, queue, writers);
    }
    if (writers->count > 0 && writers->loops[writers->count - 1] == loop)
        return;
    if (writers->count == writers->capacity) {
        writers->capacity = writers->capacity ? writers->capacity * 2 : 4;
        writers->loops = flow_realloc(writers->loops, writers->capacity * sizeof *writers->loops);
    }
    writers->loops[writers->count++] = loop;
}

static void collect(const FlowRun *run, FlowMap *queues)
{
    for (uint32_t l = 0; l < run->loop_count; l++)
        for (uint32_t n = 1; n < run->loops[l].plan->node_count; n++) {
            const FlowGraphNode *def = run->loops[l].plan->nodes[n].def;
            if (def->type->flags & FLOW_NODE_WRITES_QUEUE)
                for (uint32_t q = 0; q < def->queue_count; q++)
                    add_writer(queues, def->queues[q], l);
        }
}

/*
 * Takes away, again and again, loops that none of the remaining ones feeds, then those that feed none of the remaining
 * ones. What is left stands on a cycle, or between two of them.
 */
static void forget_cycles(FlowRun *run)
{
    uint32_t count = run->loop_count;
    uint32_t *feeds = flow_calloc(count + 1, sizeof *feeds); /* how many remaining readers a loop has */
    bool *gone = flow_calloc(count + 1, sizeof *gone);
    bool changed = true;
    for (uint32_t l = 0; l < count; l++)
        for (uint32_t w = 0; w < run->loops[l].writer_count; w++)
            feeds[run->loops[l].writers[w]]++;
    while (changed) {
        changed = false;
        for (uint32_t l = 0; l < count; l++) {
            FlowRunLoop *loop = &run->loops[l];
            uint32_t fed_by = 0;
            for (uint32_t w = 0; w < loop->writer_count; w++)
                fed_by += !gone[loop->writers[w]];
            if (gone[l] || (fed_by > 0 && feeds[l] > 0))
                continue;
            gone[l] = changed = true;
            for (uint32_t w = 0; w < loop->writer_count; w++)
                feeds[loop->writers[w]]--;
        }
    }
    for (uint32_t l = 0; l < count; l++)
        if (!gone[l]) {
            free(run->loops[l].writers);
            run->loops[l].writers = NULL;
            run->loops[l].writer_count = 0;
        }
    free(feeds);
    free(gone);
}

void flow_run__find_writers(FlowRun *run)
{
    FlowMap queues;
    flow_map_init(&queues);
    collect(run, &queues);
    for (uint32_t l = 0; l < run->loop_count; l++) {
        FlowRunLoop *loop = &run->loops[l];
        const FlowGraphNode *producer = loop->plan->nodes[0].def;
        if (!(producer->type->flags & FLOW_NODE_READS_QUEUE) || producer->queue_count == 0)
            continue;
        const Writers *writers = flow_map_find(&queues, producer->queues[0]);
        if (writers == NULL)
            continue;
        loop->writers = flow_malloc(writers->count * sizeof *loop->writers);
        memcpy(loop->writers, writers->loops, writers->count * sizeof *loop->writers);
        loop->writer_count = writers->count;
    }
    flow_map_done(&queues, free_writers);
    forget_cycles(run);
}
