#include "value/path_steps.h"

#include <stdlib.h>

#include "base/mem.h"
#include "value/json.h"
#include "value/number.h"

/* ---- showing steps ---- */

static bool is_plain(const char *key, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr(".[]\"'\\ ", key[i]) != NULL || (unsigned char)key[i] < 0x20)
            return false;
    }
    return length != 0;
}

void flow_path_append_key(FlowBuf *buf, const char *key, size_t length)
{
    if (!is_plain(key, length)) {
        flow_buf_byte(buf, '[');
        flow_json_write_string(buf, key, length, 0);
        flow_buf_byte(buf, ']');
        return;
    }
    if (buf->len != 0)
        flow_buf_byte(buf, '.');
    flow_buf_append(buf, key, length);
}

void flow_path_append_index(FlowBuf *buf, size_t index)
{
    flow_buf_printf(buf, "[%zu]", index);
}

/* ---- parsing ---- */

static FlowStatus bad_path(const char *text, size_t length, const char *what, FlowError *reterr)
{
    return flow_error_set(
        reterr, FLOW_INVALID_ARGUMENT, "INVALID_PATH", NULL,
        "\"%.*s\" is no path: %s; a path looks like orders[0].price or orders[0][\"unit.price\"]",
        (int)(length < 100 ? length : 100), text, what);
}

/* [n] or ["key"]; *at is behind the opening bracket, afterwards behind the closing one. NULL or what is
 * wrong. */
static const char *parse_bracket(const char **at, const char *end, FlowPathStep *step)
{
    const char *p = *at, *start = p;
    if (p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++)
            p += *p == '\\' && p + 1 < end;
        if (p == end || flow_json_read(start, (size_t)(p + 1 - start), NULL, &step->key, NULL) != FLOW_OK)
            return "a key in brackets is not a JSON string";
        p++;
    } else {
        while (p < end && *p != ']')
            p++;
        if (!flow_parse_int(start, (size_t)(p - start), &step->index))
            return "an index is not a number";
        step->has_index = true;
    }
    if (p == end || *p != ']')
        return "a bracket is not closed";
    *at = p + 1;
    return NULL;
}

static const char *parse_key(const char **at, const char *end, FlowPathStep *step)
{
    const char *p = *at, *start = p;
    while (p < end && *p != '.' && *p != '[' && *p != ']' && *p != '"')
        p++;
    if (p == start)
        return "a key is empty";
    if (p < end && *p != '.' && *p != '[')
        return "a key holds a quote or a bracket";
    size_t length = (size_t)(p - start);
    step->has_index = *start >= '0' && *start <= '9' && flow_parse_int(start, length, &step->index);
    if (flow_value_try_string(start, length, &step->key, NULL) != FLOW_OK)
        return "memory is exhausted";
    *at = p;
    return NULL;
}

/* `path` keeps no copy of the text. */
static FlowStatus parse(FlowPath *path, const char *text, size_t length, FlowError *reterr)
{
    const char *p = text, *end = text + length, *wrong = NULL;
    path->count = 0;
    if (length == 0)
        wrong = "it is empty";
    else if (length > FLOW_PATH_MAX_BYTES)
        wrong = "it is too long";
    while (wrong == NULL && p < end) {
        if (path->count == FLOW_PATH_MAX_STEPS) {
            wrong = "it has too many steps";
            break;
        }
        FlowPathStep *step = &path->steps[path->count];
        *step = (FlowPathStep){.index = 0};
        if (*p == '[') {
            p++;
            wrong = parse_bracket(&p, end, step);
        } else if (path->count == 0) {
            wrong = parse_key(&p, end, step);
        } else if (*p == '.') {
            p++;
            wrong = parse_key(&p, end, step);
        } else {
            wrong = "a point is missing behind a bracket";
        }
        step->end = (size_t)(p - text);
        path->count++;
    }
    if (wrong == NULL)
        return FLOW_OK;
    for (size_t i = 0; i < path->count; i++)
        flow_value_unref(path->steps[i].key);
    return bad_path(text, length, wrong, reterr);
}

FlowStatus flow_path_parse(const char *text, size_t length, FlowPath **ret_path, FlowError *reterr)
{
    FlowPath whole;
    FlowStatus status = parse(&whole, text, length, reterr);
    if (status != FLOW_OK)
        return status;
    size_t size = offsetof(FlowPath, steps) + whole.count * sizeof(FlowPathStep);
    FlowPath *path = flow_malloc(size);
    memcpy(path, &whole, size);
    path->text = flow_strndup(text, length);
    *ret_path = path;
    return FLOW_OK;
}

void flow_path_free(FlowPath *path)
{
    if (path == NULL)
        return;
    for (size_t i = 0; i < path->count; i++)
        flow_value_unref(path->steps[i].key);
    free(path->text);
    free(path);
}

void flow_path_freep(FlowPath **path)
{
    flow_path_free(*path);
}

const char *flow_path_text(const FlowPath *path)
{
    return path->text;
}

/* ---- getting ---- */

const FlowValue *flow_path__part(FlowValue from, const FlowPathStep *step)
{
    if (flow_value_kind(from) == FLOW_VALUE_OBJECT)
        return flow_object_get_key(from, step->key);
    int64_t position = flow_path__position(step, flow_array_count(from));
    return position >= 0 ? flow_array_at(from, (size_t)position) : NULL;
}

const FlowValue *flow_path_get(FlowValue root, const FlowPath *path)
{
    const FlowValue *at = NULL;
    for (size_t i = 0; i < path->count; i++) {
        at = flow_path__part(i == 0 ? root : *at, &path->steps[i]);
        if (at == NULL)
            return NULL;
    }
    return at;
}

const FlowValue *flow_path_get_text(FlowValue root, const char *text)
{
    FlowPath path;
    if (parse(&path, text, strlen(text), NULL) != FLOW_OK)
        return NULL;
    const FlowValue *found = flow_path_get(root, &path);
    for (size_t i = 0; i < path.count; i++)
        flow_value_unref(path.steps[i].key);
    return found;
}
