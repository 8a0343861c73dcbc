#include "engine/post_process.h"

const FlowPostProcessor *flow_post_processors_default(void)
{
    static const FlowPostProcessor list[] = {
        {"QueueMapper", flow_queue_mapper_run},
        /* Behind the QueueMapper: it validates the queue names, too. */
        {"NodeValidator", flow_node_validator_run},
        {0},
    };
    return list;
}
