/*
 * router.c - a tree of segments for each custom verb. A pattern's segments match one path segment each, only `**` takes
 * the rest; so a variable is a range of segments, known when its template is read.
 */
#include "http/router.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "http/template.h"

typedef struct Place {
    FlowRoute *route;
    struct Place *next;
} Place;

typedef struct Node {
    FlowMap literals; /* text → Node */
    struct Node *any; /* "*" */
    Place *here;      /* routes that end here, one a verb */
    Place *rest;      /* routes that end with "**" here */
} Node;

typedef struct Tree {
    const char *custom_verb; /* "" for templates without one */
    Node *root;
    struct Tree *next;
} Tree;

struct FlowRouter {
    FlowArena arena;
    Tree *trees;
};

FlowRouter *flow_router_new(void)
{
    FlowRouter *self = flow_new(FlowRouter);
    flow_arena_init(&self->arena, 0);
    return self;
}

static void node_done(void *pointer)
{
    Node *node = pointer;
    if (node == NULL)
        return;
    flow_map_done(&node->literals, node_done);
    node_done(node->any);
}

FlowRouter *flow_router_free(FlowRouter *router)
{
    if (router == NULL)
        return NULL;
    for (Tree *tree = router->trees; tree != NULL; tree = tree->next)
        node_done(tree->root);
    flow_arena_done(&router->arena);
    free(router);
    return NULL;
}

/* ---- building ---- */

/* Templates are few and ours: memory for them is not what runs out. */
static void *take(FlowRouter *self, size_t size)
{
    void *memory = flow_arena_calloc(&self->arena, 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static Node *node_new(FlowRouter *self)
{
    Node *node = take(self, sizeof *node);
    flow_map_init(&node->literals);
    return node;
}

static Node *tree_of(FlowRouter *self, const char *custom_verb, size_t len)
{
    for (Tree *tree = self->trees; tree != NULL; tree = tree->next)
        if (strlen(tree->custom_verb) == len && memcmp(tree->custom_verb, custom_verb, len) == 0)
            return tree->root;
    Tree *tree = take(self, sizeof *tree);
    tree->custom_verb = flow_arena_strndup(&self->arena, custom_verb, len);
    tree->root = node_new(self);
    tree->next = self->trees;
    self->trees = tree;
    return tree->root;
}

static FlowStatus refuse(const FlowWireHttpRule *rule, const FlowWireMethod *method, FlowError *reterr,
                         const char *what, const char *which, size_t len)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "BAD_HTTP_RULE", method->full_name,
                          "%s %s: %s%s%.*s%s", rule->verb, rule->path, what, len != 0 ? " \"" : "", (int)len,
                          which, len != 0 ? "\"" : "");
}

static FlowStatus resolve_variable(const FlowTemplate *parsed, size_t index, FlowRoute *route,
                                   const FlowWireHttpRule *rule, FlowError *reterr)
{
    const FlowTemplateVariable *from = &parsed->variables[index];
    FlowRouteVariable *to = &route->variables[index];
    if (!flow_field_path_find(route->method->request, from->name, from->name_len, &to->path))
        return refuse(rule, route->method, reterr, "the request has no field", from->name, from->name_len);
    for (size_t i = 0; i + 1 < to->path.count; i++)
        if (to->path.fields[i]->repeated)
            return refuse(rule, route->method, reterr, "a list can't be on the way to", from->name,
                          from->name_len);
    const FlowWireField *leaf = to->path.fields[to->path.count - 1];
    if (leaf->repeated || leaf->type == FLOW_WIRE_MESSAGE || leaf->type == FLOW_WIRE_GROUP)
        return refuse(rule, route->method, reterr, "only a singular scalar can stand in a path, unlike",
                      from->name, from->name_len);
    for (size_t i = 0; i < index; i++)
        if (memcmp(&route->variables[i].path, &to->path, sizeof to->path) == 0)
            return refuse(rule, route->method, reterr, "the variable stands twice:", from->name,
                          from->name_len);
    to->first = from->first;
    to->count = from->open_end ? SIZE_MAX : from->count;
    to->whole = from->open_end || from->count != 1 || !parsed->segments[from->first].any;
    return FLOW_OK;
}

static FlowStatus resolve_bodies(FlowRoute *route, const FlowWireHttpRule *rule, FlowError *reterr)
{
    const FlowWireMethod *method = route->method;
    route->body_is_request = strcmp(rule->body, "*") == 0;
    if (!route->body_is_request && *rule->body != '\0') {
        route->body = flow_wire_field_named(method->request, rule->body, strlen(rule->body));
        if (route->body == NULL)
            return refuse(rule, method, reterr, "the request has no field for the body:", rule->body,
                          strlen(rule->body));
    }
    if (*rule->response_body != '\0') {
        route->response_body =
            flow_wire_field_named(method->response, rule->response_body, strlen(rule->response_body));
        if (route->response_body == NULL)
            return refuse(rule, method, reterr, "the response has no field", rule->response_body,
                          strlen(rule->response_body));
    }
    return FLOW_OK;
}

static FlowStatus place(FlowRouter *self, const FlowTemplate *parsed, FlowRoute *route,
                        const FlowWireHttpRule *rule, FlowError *reterr)
{
    Node *node = tree_of(self, parsed->verb, parsed->verb_len);
    size_t count = parsed->segment_count;
    bool open_end = count > 0 && parsed->segments[count - 1].rest;
    for (size_t i = 0; i < count - open_end; i++) {
        const FlowTemplateSegment *segment = &parsed->segments[i];
        Node **next = &node->any, *found;
        if (segment->any) {
            if (*next == NULL)
                *next = node_new(self);
            node = *next;
            continue;
        }
        found = flow_map_get(&node->literals, segment->text, segment->len);
        if (found == NULL) {
            found = node_new(self);
            if (!flow_map_set(&node->literals, segment->text, segment->len, found, NULL))
                abort();
        }
        node = found;
    }
    Place **list = open_end ? &node->rest : &node->here;
    for (Place *other = *list; other != NULL; other = other->next)
        if (strcmp(other->route->verb, route->verb) == 0)
            return refuse(rule, route->method, reterr, "the same verb and pattern belong to",
                          other->route->method->full_name, strlen(other->route->method->full_name));
    Place *made = take(self, sizeof *made);
    *made = (Place){route, *list};
    *list = made;
    return FLOW_OK;
}

FlowStatus flow_router_add(FlowRouter *router, const FlowWireMethod *method, const FlowWireHttpRule *rule,
                           void *target, FlowError *reterr)
{
    FlowTemplate parsed;
    const char *problem = flow_template_path_parse(rule->path, &parsed);
    if (problem != NULL)
        return refuse(rule, method, reterr, problem, "", 0);
    FlowRoute *route = take(router, sizeof *route);
    route->verb = rule->verb;
    route->template_text = rule->path;
    route->method = method;
    route->target = target;
    route->variable_count = parsed.variable_count;
    FlowStatus status = resolve_bodies(route, rule, reterr);
    for (size_t i = 0; i < parsed.variable_count && status == FLOW_OK; i++) {
        status = resolve_variable(&parsed, i, route, rule, reterr);
        route->variables[i].name =
            flow_arena_strndup(&router->arena, parsed.variables[i].name, parsed.variables[i].name_len);
    }
    return status == FLOW_OK ? place(router, &parsed, route, rule, reterr) : status;
}

/* ---- matching ---- */

typedef struct Search {
    const FlowRouteMatch *path;
    const char *verb;
    FlowBuf *allow;
    bool other_verbs; /* the path exists, with other verbs */
} Search;

static const FlowRoute *with_verb(Search *search, const Place *places)
{
    for (const Place *place = places; place != NULL; place = place->next)
        if (strcmp(place->route->verb, search->verb) == 0)
            return place->route;
    for (const Place *place = places; place != NULL; place = place->next) {
        search->other_verbs = true;
        if (search->allow == NULL)
            continue;
        const char *verb = place->route->verb;
        if (search->allow->len != 0 && strstr(flow_buf_text(search->allow), verb) != NULL)
            continue;
        flow_buf_printf(search->allow, "%s%s", search->allow->len != 0 ? ", " : "", verb);
        if (strcmp(verb, "GET") == 0)
            flow_buf_str(search->allow, ", HEAD");
    }
    return NULL;
}

/* Depth is the number of segments, at most FLOW_ROUTE_SEGMENTS; a step back costs no more than what templates branch. */
static const FlowRoute *search_node(Search *search, const Node *node, size_t at)
{
    const FlowRouteMatch *path = search->path;
    const FlowRoute *found = NULL;
    if (at == path->count) {
        found = with_verb(search, node->here);
    } else {
        const Node *next = flow_map_get(&node->literals, path->segments[at], path->lengths[at]);
        if (next != NULL)
            found = search_node(search, next, at + 1);
        if (found == NULL && node->any != NULL && path->lengths[at] > 0)
            found = search_node(search, node->any, at + 1);
    }
    for (size_t i = at; found == NULL && node->rest != NULL; i++) {
        if (i == path->count)
            return with_verb(search, node->rest);
        if (path->lengths[i] == 0)
            break;
    }
    return found;
}

static bool split(const char *path, size_t len, FlowRouteMatch *to)
{
    to->count = 0;
    if (len == 0 || path[0] != '/')
        return false;
    const char *end = path + len;
    for (const char *at = path + 1;; at++) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash != NULL ? slash : end;
        if (to->count == FLOW_ROUTE_SEGMENTS)
            return false;
        to->segments[to->count] = at;
        to->lengths[to->count++] = (size_t)(stop - at);
        if (slash == NULL)
            return true;
        at = slash;
    }
}

static const Tree *tree_for(const FlowRouter *router, const char *verb, size_t len)
{
    for (const Tree *tree = router->trees; tree != NULL; tree = tree->next)
        if (strlen(tree->custom_verb) == len && memcmp(tree->custom_verb, verb, len) == 0)
            return tree;
    return NULL;
}

FlowStatus flow_router_match(const FlowRouter *router, const char *verb, const char *path, size_t len,
                             FlowRouteMatch *ret_match, FlowBuf *ret_allow, FlowError *reterr)
{
    Search search = {.path = ret_match, .verb = strcmp(verb, "HEAD") == 0 ? "GET" : verb, .allow = ret_allow};
    bool whole = split(path, len, ret_match);
    ret_match->route = NULL;
    if (whole) {
        size_t last = ret_match->count - 1;
        const char *colon = memrchr(ret_match->segments[last], ':', ret_match->lengths[last]);
        const Tree *tree = NULL;
        if (colon != NULL) {
            size_t full = ret_match->lengths[last], cut = (size_t)(colon - ret_match->segments[last]);
            tree = tree_for(router, colon + 1, full - cut - 1);
            if (tree != NULL && full - cut > 1) {
                ret_match->lengths[last] = cut;
                ret_match->route = search_node(&search, tree->root, 0);
                if (ret_match->route == NULL)
                    ret_match->lengths[last] = full;
            }
        }
        /* A path that has this custom verb, with another HTTP verb, is not one without a custom verb. */
        tree = ret_match->route == NULL && !search.other_verbs ? tree_for(router, "", 0) : NULL;
        if (tree != NULL)
            ret_match->route = search_node(&search, tree->root, 0);
    }
    if (ret_match->route != NULL)
        return FLOW_OK;
    if (search.other_verbs)
        return flow_error_set(reterr, FLOW_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", NULL,
                              "%.16s is not possible at %.200s", verb, path);
    return flow_error_set(reterr, FLOW_NOT_FOUND, "ROUTE_NOT_FOUND", NULL,
                          "there is nothing at %.*s: /openapi.json lists what there is",
                          len < 200 ? (int)len : 200, path);
}

/* ---- texts ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

bool flow_percent_decode(FlowBuf *to, const char *text, size_t len, bool keep_slash, bool plus)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+' && plus) {
            flow_buf_byte(to, ' ');
        } else if (text[i] != '%') {
            flow_buf_byte(to, text[i]);
        } else {
            int high = i + 2 < len ? hex(text[i + 1]) : -1, low = i + 2 < len ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            char byte = (char)(high << 4 | low);
            if (byte == '/' && keep_slash)
                flow_buf_append(to, text + i, 3);
            else
                flow_buf_byte(to, byte);
            i += 2;
        }
    }
    return true;
}

FlowStatus flow_route_variable_text(const FlowRouteMatch *match, const FlowRouteVariable *variable,
                                    FlowBuf *to, FlowError *reterr)
{
    size_t before = to->len;
    size_t end = variable->count == SIZE_MAX ? match->count : variable->first + variable->count;
    bool ok = true;
    for (size_t i = variable->first; i < end && ok; i++) {
        if (i > variable->first)
            flow_buf_byte(to, '/');
        ok = flow_percent_decode(to, match->segments[i], match->lengths[i], variable->whole, false);
    }
    if (!ok)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", variable->name,
                              "%s: the path has a \"%%\" that is no escape such as %%20", variable->name);
    if (to->len != before && !flow_utf8_valid(to->data + before, to->len - before))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", variable->name,
                              "%s: the path is not UTF-8", variable->name);
    return FLOW_OK;
}

bool flow_field_path_find(const FlowWireMessage *type, const char *text, size_t len, FlowFieldPath *ret_path)
{
    *ret_path = (FlowFieldPath){.count = 0};
    for (const char *end = text + len;; text++) {
        const char *dot = memchr(text, '.', (size_t)(end - text)), *stop = dot != NULL ? dot : end;
        const FlowWireField *field = flow_wire_field_named(type, text, (size_t)(stop - text));
        if (field == NULL || ret_path->count == FLOW_ROUTE_FIELDS)
            return false;
        ret_path->fields[ret_path->count++] = field;
        if (dot == NULL)
            return true;
        /* Only into messages that are objects in JSON; a map's keys are no fields. */
        if (field->type != FLOW_WIRE_MESSAGE || field->map || field->message->kind != FLOW_WIRE_ORDINARY)
            return false;
        type = field->message;
        text = dot;
    }
}
