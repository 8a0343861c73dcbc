/* session.c - sessions and what they hold: outputs, node states, queues; bounded in number and bytes. Loop thread only. */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"

/* What a session, a node or a queued payload costs beside its values. */
enum { SESSION_COST = 1024, NODE_COST = 512, ITEM_COST = 128 };

FlowHash128 dev_hash_two(FlowHash128 a, FlowHash128 b)
{
    static const uint64_t key[2] = {0x64657620, 0x68617368};
    const FlowHash128 both[2] = {a, b};
    return flow_siphash128(both, sizeof both, key);
}

FlowHash128 dev_hash_payload(FlowValue data, FlowValue metadata)
{
    return dev_hash_two(flow_value_hash(data), flow_value_hash(metadata));
}

void dev_payload_done(FlowDevPayload *payload)
{
    flow_value_clear(&payload->id);
    flow_value_clear(&payload->data);
    flow_value_clear(&payload->metadata);
}

FlowDevPayload dev_payload_ref(const FlowDevPayload *payload)
{
    return (FlowDevPayload){flow_value_ref(payload->id), flow_value_ref(payload->data),
                            flow_value_ref(payload->metadata)};
}

DevOutput *dev_output_free(DevOutput *output)
{
    if (output == NULL)
        return NULL;
    dev_payload_done(&output->payload);
    flow_value_unref(output->form);
    flow_value_unref(output->elements);
    flow_value_unref(output->each_data);
    flow_value_unref(output->each_metadata);
    free(output->branch);
    free(output->pin_reason);
    free(output->fail_reason);
    free(output);
    return NULL;
}

/* ---- bytes ---- */

static void count_bytes(DevSession *session, size_t more, size_t less)
{
    session->bytes += more - less;
    if (!session->is_gone)
        session->dev->bytes += more - less;
}

static FlowStatus check_room(const DevSession *session, size_t more, size_t less, FlowError *reterr)
{
    const FlowDev *dev = session->dev;
    if (more <= less)
        return FLOW_OK;
    if (session->bytes + (more - less) > dev->session_bytes)
        return flow_error_set(
            reterr, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", "session_id",
            "the session \"%s\" holds %zu bytes, and %zu more are beyond its bound of %zu; clear "
            "outputs that aren't needed any more (ClearNodeOutput), or the session (ClearSession)",
            session->id, session->bytes, more - less, dev->session_bytes);
    if (dev->bytes + (more - less) > dev->total_bytes)
        return flow_error_set(
            reterr, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", "session_id",
            "all sessions together hold %zu bytes, and %zu more are beyond the bound of %zu; clear "
            "sessions that aren't needed any more (ClearSession)",
            dev->bytes, more - less, dev->total_bytes);
    return FLOW_OK;
}

/* ---- sessions ---- */

DevSession *dev_session_find(FlowDev *dev, const char *id)
{
    return flow_map_find(&dev->sessions, id);
}

FlowStatus dev_session_new(FlowDev *dev, const char *id, DevSession **ret_session, FlowError *reterr)
{
    char made[FLOW_UUID_TEXT];
    int64_t now_ns = flow_clock_wall_ns(dev->clock);
    if (id[0] == '\0') {
        flow_uuid_make(now_ns, made);
        id = made;
    }
    if (!flow_id_valid(id, strlen(id)))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "session_id",
                              "session_id must be 1 to %d characters of A-Z a-z 0-9 _ . -", FLOW_ID_MAX);
    dev_sessions_expire(dev);
    if (dev->sessions.count >= dev->sessions_max)
        return flow_error_set(
            reterr, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", "session_id",
            "there are %zu sessions already, the most that this server keeps; end one that isn't "
            "needed any more (ClearSession)",
            dev->sessions.count);
    DevSession *session = flow_new(DevSession);
    session->dev = dev;
    session->refs = 1;
    strcpy(session->id, id);
    session->create_ns = session->used_ns = now_ns;
    flow_map_init(&session->nodes);
    flow_map_init(&session->queues);
    flow_list_init(&session->waiting);
    session->parameters = flow_value_object();
    flow_map_put(&dev->sessions, id, session);
    count_bytes(session, SESSION_COST, 0);
    *ret_session = session;
    return FLOW_OK;
}

DevSession *dev_session_ref(DevSession *session)
{
    session->refs++;
    return session;
}

static void free_node(void *value)
{
    DevNode *node = value;
    dev_output_free(node->output);
    flow_value_unref(node->state);
    dev_payload_done(&node->loaded);
    free(node->loaded_reason);
    free(node);
}

static void free_queue(void *value)
{
    DevQueue *queue = value;
    FlowList *link;
    while ((link = flow_list_pop_front(&queue->items))) {
        DevItem *item = flow_list_entry(link, DevItem, link);
        dev_payload_done(&item->payload);
        free(item);
    }
    free(queue);
}

void dev_session_unref(DevSession *session)
{
    if (session == NULL || --session->refs > 0)
        return;
    flow_map_done(&session->nodes, free_node);
    flow_map_done(&session->queues, free_queue);
    flow_value_unref(session->parameters);
    dev_graph_unref(session->graph);
    free(session);
}

void dev_session_drop(DevSession *session)
{
    if (session->is_gone)
        return;
    session->dev->bytes -= session->bytes;
    session->is_gone = true;
    flow_map_remove(&session->dev->sessions, session->id, strlen(session->id));
    dev_session_unref(session);
}

void dev_session_touch(DevSession *session)
{
    session->used_ns = flow_clock_wall_ns(session->dev->clock);
}

void dev_sessions_expire(FlowDev *dev)
{
    int64_t oldest_ns = flow_clock_wall_ns(dev->clock) - FLOW_DEV_LIFE_NS;
    for (FlowMapEntry *entry = NULL;;) {
        DevSession *expired = NULL;
        while (expired == NULL && (entry = flow_map_next(&dev->sessions, entry))) {
            DevSession *session = entry->value;
            if (session->used_ns <= oldest_ns && session->busy == NULL && flow_list_empty(&session->waiting))
                expired = session;
        }
        if (expired == NULL)
            return;
        dev_session_drop(expired);
        entry = NULL; /* removing moves entries */
    }
}

void dev_session_view(const DevSession *session, FlowDevSessionView *ret_view)
{
    *ret_view = (FlowDevSessionView){.create_ns = session->create_ns,
                                     .expire_ns = session->used_ns + FLOW_DEV_LIFE_NS,
                                     .bytes = session->bytes};
    strcpy(ret_view->id, session->id);
    strcpy(ret_view->workflow_id, session->workflow_id);
    for (FlowMapEntry *entry = NULL; (entry = flow_map_next(&session->nodes, entry));)
        ret_view->output_count += ((DevNode *)entry->value)->output != NULL;
}

/* ---- nodes ---- */

DevNode *dev_session_node(DevSession *session, const char *node_id)
{
    return session ? flow_map_find(&session->nodes, node_id) : NULL;
}

DevNode *dev_session_node_make(DevSession *session, const char *node_id)
{
    DevNode *node = dev_session_node(session, node_id);
    if (node == NULL) {
        node = flow_new(DevNode);
        flow_map_put(&session->nodes, node_id, node);
        count_bytes(session, NODE_COST, 0);
    }
    return node;
}

DevOutput *dev_session_output(DevSession *session, const char *node_id)
{
    DevNode *node = dev_session_node(session, node_id);
    return node ? node->output : NULL;
}

FlowStatus dev_session_store_take(DevSession *session, const char *node_id, DevOutput *output_take,
                                  FlowError *reterr)
{
    DevNode *node = dev_session_node_make(session, node_id);
    DevOutput *output = output_take;
    size_t before = node->output ? node->output->bytes : 0;
    output->bytes = flow_value_size(output->payload.data) + flow_value_size(output->payload.metadata) +
                    flow_value_size(output->form) + flow_value_size(output->elements) + sizeof *output;
    if (flow_value_size(output->payload.data) > FLOW_DEV_SESSION_BYTES) {
        dev_output_free(output);
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", node_id,
                              "the output of the node \"%s\" is too large to be kept", node_id);
    }
    FlowStatus status = check_room(session, output->bytes, before, reterr);
    if (status != FLOW_OK) {
        dev_output_free(output);
        return status;
    }
    count_bytes(session, output->bytes, before);
    output->number = ++session->number;
    output->hash = dev_hash_payload(output->payload.data, output->payload.metadata);
    if (output->time_ns == 0)
        output->time_ns = flow_clock_wall_ns(session->dev->clock);
    dev_output_free(node->output);
    node->output = output;
    return FLOW_OK;
}

void dev_session_forget(DevSession *session, const char *node_id)
{
    DevNode *node = dev_session_node(session, node_id);
    if (node == NULL)
        return;
    size_t bytes = NODE_COST + flow_value_size(node->state) + flow_value_size(node->loaded.data) +
                   (node->output ? node->output->bytes : 0);
    flow_map_remove(&session->nodes, node_id, strlen(node_id));
    free_node(node);
    count_bytes(session, 0, bytes);
}

void dev_session_set_state(DevSession *session, DevNode *node, FlowValue state_take, FlowHash128 form)
{
    count_bytes(session, flow_value_size(state_take), flow_value_size(node->state));
    flow_value_assign_take(&node->state, state_take);
    node->state_form = form;
}

/* ---- queues ---- */

size_t dev_queue_count(const DevSession *session, const char *name)
{
    const DevQueue *queue = session ? flow_map_find(&session->queues, name) : NULL;
    return queue ? queue->count : 0;
}

FlowStatus dev_queue_push(DevSession *session, const char *name, const FlowDevPayload *payload,
                          FlowError *reterr)
{
    DevQueue *queue = flow_map_find(&session->queues, name);
    size_t bytes = ITEM_COST + flow_value_size(payload->data) + flow_value_size(payload->metadata);
    FlowStatus status = check_room(session, bytes, 0, reterr);
    if (status != FLOW_OK)
        return status;
    if (queue == NULL) {
        queue = flow_new(DevQueue);
        flow_list_init(&queue->items);
        flow_map_put(&session->queues, name, queue);
    }
    DevItem *item = flow_new(DevItem);
    item->payload = dev_payload_ref(payload);
    item->bytes = bytes;
    flow_list_push_back(&queue->items, &item->link);
    queue->count++;
    count_bytes(session, bytes, 0);
    return FLOW_OK;
}

bool dev_queue_pop(DevSession *session, const char *name, FlowDevPayload *ret_payload)
{
    DevQueue *queue = flow_map_find(&session->queues, name);
    FlowList *link = queue ? flow_list_pop_front(&queue->items) : NULL;
    if (link == NULL)
        return false;
    DevItem *item = flow_list_entry(link, DevItem, link);
    *ret_payload = item->payload;
    queue->count--;
    count_bytes(session, 0, item->bytes);
    free(item);
    return true;
}
