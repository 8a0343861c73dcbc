#include "engine/registry.h"

#include <pthread.h>
#include <string.h>

#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "forms/spec.h"

typedef struct Entry {
    const FlowNodeType *type;
    FlowFormSchema *schema;
    struct Entry *next; /* all that were ever added */
} Entry;

struct FlowRegistry {
    pthread_rwlock_t lock;
    FlowMap known; /* name -> Entry */
    Entry *all;
    size_t added;
};

/* ---- checks ---- */

static FlowStatus bad(const FlowNodeType *type, FlowError *reterr, const char *what)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_NODE_TYPE", type->name ? type->name : "",
                          "node type '%s': %s", type->name ? type->name : "", what);
}

static bool is_kebab(const char *name)
{
    size_t len = name ? strnlen(name, FLOW_NODE_TYPE_NAME_MAX + 1) : 0;
    if (len == 0 || len > FLOW_NODE_TYPE_NAME_MAX || name[0] < 'a' || name[0] > 'z' || name[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool word = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        if (!word && (name[i] != '-' || name[i - 1] == '-'))
            return false;
    }
    return true;
}

static bool has_branch(const FlowNodeType *type, const char *name)
{
    for (const FlowNodeBranch *branch = type->branches; branch && branch->name; branch++) {
        if (strcmp(branch->name, name) == 0)
            return true;
    }
    return false;
}

FlowStatus flow_node_type_check(const FlowNodeType *type, FlowError *reterr)
{
    if (!is_kebab(type->name))
        return bad(type, reterr, "the name must be lower-case words joined by hyphens, at most 64 bytes");
    if (!type->summary || !*type->summary)
        return bad(type, reterr, "a summary is missing");
    if (type->version == 0)
        return bad(type, reterr, "versions begin with 1");
    if ((unsigned)type->kind >= FLOW_NODE_KIND_COUNT || (unsigned)type->pool >= FLOW_POOL_COUNT)
        return bad(type, reterr, "the kind or the pool is outside its enum");
    if (!type->start)
        return bad(type, reterr, "start() is missing");
    bool own_branches = type->flags & FLOW_NODE_OWN_BRANCHES;
    if (own_branches != (type->branches_of != NULL))
        return bad(type, reterr, "FLOW_NODE_OWN_BRANCHES and branches_of() go together");
    if (own_branches && type->branches)
        return bad(type, reterr, "branches and branches_of() exclude each other");
    if (type->kind == FLOW_NODE_CONDITIONAL && !own_branches && !(type->branches && type->branches->name))
        return bad(type, reterr, "a conditional needs branches");
    if (type->kind != FLOW_NODE_PRODUCER && type->flags & FLOW_NODE_READS_QUEUE)
        return bad(type, reterr, "only a producer can read a queue");
    if (type->kind != FLOW_NODE_NON_BLOCKING && type->flags & FLOW_NODE_WRITES_QUEUE)
        return bad(type, reterr, "only a non-blocking node can write a queue");
    if (type->flags & FLOW_NODE_FOR_EACH &&
        (type->kind != FLOW_NODE_BLOCKING || !has_branch(type, "body") || !has_branch(type, "default")))
        return bad(type, reterr, "a for-each is a blocking node with the branches `body` and `default`");
    if (type->form && type->schema)
        return bad(type, reterr, "form and schema exclude each other");
    if (!own_branches) {
        FlowNodeBranches *branches = flow_node_branches_new(type, flow_value_object(), reterr);
        if (!branches)
            return FLOW_INVALID_ARGUMENT;
        flow_node_branches_free(branches);
    }
    return FLOW_OK;
}

/* ---- the registry ---- */

FlowRegistry *flow_registry_new(void)
{
    FlowRegistry *registry = flow_new(FlowRegistry);
    pthread_rwlock_init(&registry->lock, NULL);
    flow_map_init(&registry->known);
    return registry;
}

void flow_registry_free(FlowRegistry *registry)
{
    if (!registry)
        return;
    for (Entry *entry = registry->all; entry;) {
        Entry *next = entry->next;
        flow_form_schema_unref(entry->schema);
        free(entry);
        entry = next;
    }
    flow_map_done(&registry->known, NULL);
    pthread_rwlock_destroy(&registry->lock);
    free(registry);
}

static FlowStatus add_locked(FlowRegistry *registry, Entry *entry, FlowError *reterr)
{
    const char *name = entry->type->name;
    if (flow_map_find(&registry->known, name))
        return flow_error_set(reterr, FLOW_ALREADY_EXISTS, "NODE_TYPE_EXISTS", name,
                              "there is a node type '%s' already: choose another name", name);
    /* Counts what was ever added: entries stay, because graphs may use them. */
    if (registry->added == FLOW_REGISTRY_MAX_TYPES)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "NODE_TYPES_EXHAUSTED", name,
                              "a server knows at most %d node types in its life", FLOW_REGISTRY_MAX_TYPES);
    if (!flow_map_put(&registry->known, name, entry))
        return flow_error_no_memory(reterr, name, sizeof(*entry));
    entry->next = registry->all;
    registry->all = entry;
    registry->added++;
    return FLOW_OK;
}

FlowStatus flow_registry_add(FlowRegistry *registry, const FlowNodeType *type, FlowError *reterr)
{
    FlowStatus status = flow_node_type_check(type, reterr);
    if (status != FLOW_OK)
        return status;
    FlowFormSchema *schema = NULL;
    if (type->schema) {
        schema = flow_form_schema_ref(type->schema);
    } else if (type->form) {
        status = flow_form_schema_new(type->form, &schema, reterr);
        if (status != FLOW_OK) {
            if (reterr)
                flow_error_within(reterr, type->name);
            return status;
        }
    }
    Entry *entry = flow_new(Entry);
    entry->type = type;
    entry->schema = schema;
    pthread_rwlock_wrlock(&registry->lock);
    status = add_locked(registry, entry, reterr);
    pthread_rwlock_unlock(&registry->lock);
    if (status != FLOW_OK) {
        flow_form_schema_unref(schema);
        free(entry);
    }
    return status;
}

bool flow_registry_remove(FlowRegistry *registry, const char *name)
{
    pthread_rwlock_wrlock(&registry->lock);
    bool was_there = flow_map_remove(&registry->known, name, strlen(name)) != NULL;
    pthread_rwlock_unlock(&registry->lock);
    return was_there;
}

const FlowNodeType *flow_registry_find(FlowRegistry *registry, const char *name, size_t len)
{
    pthread_rwlock_rdlock(&registry->lock);
    const Entry *entry = flow_map_get(&registry->known, name, len);
    pthread_rwlock_unlock(&registry->lock);
    return entry ? entry->type : NULL;
}

const FlowFormSchema *flow_registry_schema(FlowRegistry *registry, const FlowNodeType *type)
{
    pthread_rwlock_rdlock(&registry->lock);
    const Entry *entry = flow_map_find(&registry->known, type->name);
    if (!entry || entry->type != type) {
        /* A removed type that somebody still holds. */
        for (entry = registry->all; entry && entry->type != type; entry = entry->next)
            continue;
    }
    pthread_rwlock_unlock(&registry->lock);
    return entry ? entry->schema : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const FlowNodeType *const *)a)->name, (*(const FlowNodeType *const *)b)->name);
}

const FlowNodeType **flow_registry_list(FlowRegistry *registry, size_t *ret_count)
{
    pthread_rwlock_rdlock(&registry->lock);
    const FlowNodeType **types = flow_calloc(registry->known.count + 1, sizeof(*types));
    size_t count = 0;
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&registry->known, e));)
        types[count++] = ((const Entry *)e->value)->type;
    pthread_rwlock_unlock(&registry->lock);
    qsort(types, count, sizeof(*types), by_name);
    *ret_count = count;
    return types;
}

const char *flow_registry_nearest(FlowRegistry *registry, const char *name, size_t len)
{
    size_t count;
    const FlowNodeType **types = flow_registry_list(registry, &count);
    const char **names = flow_calloc(count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = types[i]->name;
    const char *nearest = flow_nearest_name(name, len, names, count);
    free(names);
    free(types);
    return nearest;
}

/* ---- branches ---- */

struct FlowNodeBranches {
    char **names;
    size_t count, capacity;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

FlowStatus flow_node_branches_add(FlowNodeBranches *branches, const char *name, size_t len, FlowError *reterr)
{
    if (len == 0 || len > FLOW_NODE_BRANCH_NAME_MAX || memchr(name, '\0', len))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_BRANCH", NULL,
                              "a branch's name must have 1 to %d bytes", FLOW_NODE_BRANCH_NAME_MAX);
    if (flow_node_branches_index(branches, name, len) >= 0)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_BRANCH", NULL,
                              "two branches are named '%.*s' (case does not count): give each its own name",
                              (int)len, name);
    if (branches->count == FLOW_NODE_BRANCHES_MAX)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_BRANCH", NULL,
                              "a node can have at most %d branches", FLOW_NODE_BRANCHES_MAX);
    if (branches->count == branches->capacity) {
        branches->capacity = branches->capacity ? branches->capacity * 2 : 4;
        branches->names = flow_realloc(branches->names, branches->capacity * sizeof(char *));
    }
    char *copy = flow_strndup(name, len);
    for (size_t i = 0; i < len; i++)
        copy[i] = lower(copy[i]);
    branches->names[branches->count++] = copy;
    return FLOW_OK;
}

FlowNodeBranches *flow_node_branches_new(const FlowNodeType *type, FlowValue form_values, FlowError *reterr)
{
    FlowNodeBranches *branches = flow_new(FlowNodeBranches);
    FlowStatus status = FLOW_OK;
    if (type->branches_of) {
        status = type->branches_of(form_values, branches, reterr);
    } else if (type->branches) {
        for (const FlowNodeBranch *branch = type->branches; branch->name && status == FLOW_OK; branch++)
            status = flow_node_branches_add(branches, branch->name, strlen(branch->name), reterr);
    } else {
        status = flow_node_branches_add(branches, "default", strlen("default"), reterr);
    }
    return status == FLOW_OK ? branches : flow_node_branches_free(branches);
}

FlowNodeBranches *flow_node_branches_free(FlowNodeBranches *branches)
{
    for (size_t i = 0; branches && i < branches->count; i++)
        free(branches->names[i]);
    if (branches)
        free(branches->names);
    free(branches);
    return NULL;
}

size_t flow_node_branches_count(const FlowNodeBranches *branches)
{
    return branches->count;
}

const char *flow_node_branches_name(const FlowNodeBranches *branches, size_t index)
{
    return branches->names[index];
}

int flow_node_branches_index(const FlowNodeBranches *branches, const char *name, size_t len)
{
    for (size_t i = 0; i < branches->count; i++) {
        const char *known = branches->names[i];
        size_t at = 0;
        while (at < len && known[at] && lower(name[at]) == known[at])
            at++;
        if (at == len && !known[at])
            return (int)i;
    }
    return -1;
}
