/* end.c - ends its branch, and says so in the picture. */
#include "nodes/common.h"
#include "nodes/nodes.h"

static FlowNodeOutcome end_start(FlowNodeCall *call)
{
    (void)call;
    return FLOW_NODE_ENDED;
}

const FlowNodeType flow_node_end = {
    .name = "end",
    .label = "End",
    .summary = "Ends its branch.",
    .description = "Does nothing else. A branch also ends where no edge leads on; `end` makes that visible.",
    .result = "nothing",
    .example =
        "{\"name\": \"only large numbers\", \"nodes\": ["
        "{\"id\": \"count\", \"type\": \"counter\"},"
        "{\"id\": \"large\", \"type\": \"if-condition\", \"data\": {\"form\": {\"condition_expression\": "
        "\"data.counter.current > 5\"}}},"
        "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ data.counter.current "
        "}}\"}}},"
        "{\"id\": \"end\", \"type\": \"end\"}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"large\"},"
        "{\"id\": \"e2\", \"source\": \"large\", \"target\": \"show\", \"sourceHandle\": \"yes\"},"
        "{\"id\": \"e3\", \"source\": \"large\", \"target\": \"end\", \"sourceHandle\": \"no\"}]}",
    .version = 1,
    .kind = FLOW_NODE_NON_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS | FLOW_NODE_LAST,
    .start = end_start,
};
