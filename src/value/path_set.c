/*
 * path_set.c - putting a value at a path, or taking one away.
 *
 * First look how far the path goes, and whether the rest is possible; then build what is missing; then make
 * each box on the way one's own and change the last one. So nothing has changed when a path can't be set, and
 * nobody else's value ever does.
 */
#include "value/box.h"
#include "value/path_steps.h"

/* ---- what can't be done ---- */

static FlowStatus blocked(const FlowPath *path, size_t i, FlowValue found, FlowError *reterr)
{
    const char *wanted = flow_value_is_null(path->steps[i].key) ? "an array" : "an object";
    const char *kind = flow_value_kind_name(flow_value_kind(found));
    if (i == 0)
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, "PATH_BLOCKED", path->text,
                              "the value is of kind %s, not %s, so \"%s\" can't be set in it", kind, wanted,
                              path->text);
    return flow_error_set(
        reterr, FLOW_FAILED_PRECONDITION, "PATH_BLOCKED", path->text,
        "\"%.*s\" is of kind %s, not %s, so \"%s\" can't be set; remove it or choose another path",
        (int)path->steps[i - 1].end, path->text, kind, wanted, path->text);
}

static FlowStatus beyond(const FlowPath *path, size_t i, size_t count, FlowError *reterr)
{
    return flow_error_set(reterr, FLOW_OUT_OF_RANGE, "NO_SUCH_ITEM", path->text,
                          "\"%.*s\" is not in its array of %zu items; the next free index is %zu",
                          (int)path->steps[i].end, path->text, count, count);
}

/* ---- looking ---- */

/*
 * Where a new value goes: into the container that the first `*ret_last` steps lead to, by step number
 * *ret_last; the steps behind it are missing. SIZE_MAX: it replaces the root itself.
 */
static FlowStatus look(FlowValue root, const FlowPath *path, size_t *ret_last, FlowValue *ret_old,
                       FlowError *reterr)
{
    FlowValue at = root;
    size_t i = 0;
    *ret_last = SIZE_MAX;
    *ret_old = flow_value_null();
    for (; i < path->count; i++) {
        const FlowPathStep *step = &path->steps[i];
        FlowValueKind kind = flow_value_kind(at);
        if (kind == FLOW_VALUE_NULL) {
            *ret_old = at;
            *ret_last = i - 1;
            break;
        }
        bool fits = (kind == FLOW_VALUE_OBJECT && !flow_value_is_null(step->key)) ||
                    (kind == FLOW_VALUE_ARRAY && step->has_index);
        if (!fits)
            return blocked(path, i, at, reterr);
        *ret_last = i;
        const FlowValue *part = flow_path__part(at, step);
        if (part == NULL) {
            if (kind == FLOW_VALUE_ARRAY && step->index != (int64_t)flow_array_count(at))
                return beyond(path, i, flow_array_count(at), reterr);
            break;
        }
        at = *part;
        *ret_old = at;
    }
    /* What is missing will be made: an array of one only begins with its item 0. */
    for (size_t j = *ret_last + 1; i < path->count && j < path->count; j++) {
        if (flow_value_is_null(path->steps[j].key) && path->steps[j].index != 0)
            return beyond(path, j, 0, reterr);
    }
    return FLOW_OK;
}

/* The missing containers around a value, from step `first` to the end. */
static FlowStatus wrap(const FlowPath *path, size_t first, FlowValue value_take, FlowValue *ret_value,
                       FlowError *reterr)
{
    FlowValue inner = value_take;
    for (size_t j = path->count; j-- > first;) {
        const FlowPathStep *step = &path->steps[j];
        bool is_array = flow_value_is_null(step->key);
        FlowValue outer = is_array ? flow_value_array() : flow_value_object();
        FlowStatus status = is_array ? flow_array_push_take(&outer, inner, reterr)
                                     : flow_object_set_key_take(&outer, step->key, inner, reterr);
        if (status != FLOW_OK) {
            flow_value_unref(outer);
            return status;
        }
        inner = outer;
    }
    *ret_value = inner;
    return FLOW_OK;
}

/* ---- changing ---- */

typedef enum Change { CHANGE_SET, CHANGE_REMOVE } Change;

static FlowStatus change_here(FlowValue *cell, const FlowPathStep *step, Change change, FlowValue value_take,
                              FlowError *reterr)
{
    if (flow_value_kind(*cell) == FLOW_VALUE_OBJECT)
        return change == CHANGE_SET ? flow_object_set_key_take(cell, step->key, value_take, reterr)
                                    : flow_object_removen(cell, flow_value_text(&step->key),
                                                          flow_value_length(&step->key), reterr);
    int64_t position = flow_path__position(step, flow_array_count(*cell));
    if (change == CHANGE_REMOVE)
        return flow_array_remove(cell, (size_t)position, reterr);
    if (position < 0)
        return flow_array_push_take(cell, value_take, reterr);
    return flow_array_set_take(cell, (size_t)position, value_take, reterr);
}

/* The part that a step leads to, in a box that is now the caller's own. NULL: memory is exhausted. */
static FlowValue *own_part(FlowValue *cell, const FlowPathStep *step, FlowError *reterr)
{
    if (flow_value_kind(*cell) == FLOW_VALUE_OBJECT) {
        FlowObjectBox *box = flow_object__own(cell, 0, reterr);
        if (box == NULL)
            return NULL;
        return &box->members[flow_object__find(box, flow_value_text(&step->key),
                                               flow_value_length(&step->key))]
                    .value;
    }
    FlowArrayBox *box = flow_array__own(cell, 0, reterr);
    return box != NULL ? &box->items[flow_path__position(step, box->head.count)] : NULL;
}

static void settle(FlowValue container, unsigned old_depth, unsigned depth, uint64_t old_size, uint64_t size)
{
    FlowContainer *head = container.box;
    head->size += size - old_size;
    if (depth >= old_depth) {
        if (depth + 1 > head->depth)
            head->depth = depth + 1;
    } else if (flow_value_kind(container) == FLOW_VALUE_OBJECT) {
        flow_object__settle_depth(container.box, old_depth);
    } else {
        flow_array__settle_depth(container.box, old_depth);
    }
}

/* Changes what step number `last` leads to. Recursion: at most FLOW_PATH_MAX_STEPS. */
static FlowStatus change_at(FlowValue *cell, const FlowPath *path, size_t i, size_t last, Change change,
                            FlowValue value_take, FlowError *reterr)
{
    if (i == last)
        return change_here(cell, &path->steps[i], change, value_take, reterr);
    FlowValue *part = own_part(cell, &path->steps[i], reterr);
    if (part == NULL) {
        flow_value_unref(value_take);
        return FLOW_RESOURCE_EXHAUSTED;
    }
    unsigned old_depth = flow_value__depth(*part);
    uint64_t old_size = flow_value__size(*part);
    FlowStatus status = change_at(part, path, i + 1, last, change, value_take, reterr);
    if (status == FLOW_OK)
        settle(*cell, old_depth, flow_value__depth(*part), old_size, flow_value__size(*part));
    return status;
}

FlowStatus flow_path_set_take(FlowValue *root, const FlowPath *path, FlowValue value_take, FlowError *reterr)
{
    size_t last;
    FlowValue old, made;
    FlowStatus status = look(*root, path, &last, &old, reterr);
    if (status != FLOW_OK) {
        flow_value_unref(value_take);
        return status;
    }
    status = wrap(path, last + 1, value_take, &made, reterr);
    if (status != FLOW_OK)
        return status;
    if (last == SIZE_MAX) {
        flow_value_assign_take(root, made);
        return FLOW_OK;
    }
    /* The root is the largest and deepest; what fits there fits on the whole way. */
    status = flow_value__check_bounds(flow_value__size(*root) + FLOW_SIZE_VALUE - flow_value__size(old),
                                      flow_value__size(made) + flow_value__size(path->steps[last].key),
                                      (unsigned)last + flow_value__depth(made), reterr);
    if (status != FLOW_OK) {
        flow_value_unref(made);
        return status;
    }
    return change_at(root, path, 0, last, CHANGE_SET, made, reterr);
}

FlowStatus flow_path_remove(FlowValue *root, const FlowPath *path, bool *ret_removed, FlowError *reterr)
{
    bool found = flow_path_get(*root, path) != NULL;
    FlowStatus status = FLOW_OK;
    if (found)
        status = change_at(root, path, 0, path->count - 1, CHANGE_REMOVE, flow_value_null(), reterr);
    if (status == FLOW_OK && ret_removed != NULL)
        *ret_removed = found;
    return status;
}
