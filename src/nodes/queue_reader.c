/* queue_reader.c - begins a loop with what was pushed into a queue. Taking and settling deliveries is the host's. */
#include "nodes/common.h"
#include "nodes/nodes.h"

static const FlowFieldSpec fields[] = {
    /* Literal: the QueueMapper checks names, and refuses templates in its own words. */
    {.name = "queue_name",
     .type = FLOW_FIELD_TEXT,
     .flags = FLOW_FIELD_LITERAL,
     .help = "The queue to read; empty: the one of the queue-writers whose edges lead here."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowNodeOutcome reader_start(FlowNodeCall *call)
{
    (void)call;
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_queue_reader = {
    .name = "queue-reader",
    .label = "Queue reader",
    .summary = "Begins a loop with each payload that is pushed into a queue.",
    .description =
        "The payload keeps its id. It stays in flight until all work on it has ended; then it is "
        "acknowledged "
        "in one step with what the loop pushed on. Draw edges from queue-writers to the reader, or name a "
        "queue: names are known to the whole server, so other workflows and the API can push, too. Several "
        "readers of one queue compete. The reader is completed when all loops that write to its queue in "
        "this run have ended and the queue is empty; without such loops it runs until it is stopped.",
    .result = "nothing: the payload is the one that was pushed",
    .example = "{\"name\": \"two loops\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\"},"
               "{\"id\": \"write\", \"type\": \"queue-writer\"},"
               "{\"id\": \"read\", \"type\": \"queue-reader\"},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Read {{ "
               "data.counter.current "
               "}}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"write\"},"
               "{\"id\": \"e2\", \"source\": \"write\", \"target\": \"read\"},"
               "{\"id\": \"e3\", \"source\": \"read\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_PRODUCER,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_READS_QUEUE,
    .form = &form,
    .start = reader_start,
};
