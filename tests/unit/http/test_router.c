/* Templates of google.api.http: what is refused, and which route a path finds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/router.h"
#include "http/template.h"

/* ---- the grammar ---- */

static void templates_that_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",          "/",       "//",         "/{}",
        "/a/",       "/a//b",   ":verb",      "/:verb",
        "/a/:verb",  "/*:",     "/a/{",       "/a/{x",
        "/a/{x.",    "/a/{x=",  "/a/{x=}",    "/a/{x=v:verb}",
        "a/b",       "{x}",     "/a/{x=/b}",  "/{x=a/{id=b}}",
        "/a{x}",     "/{x}a",   "/a/**/*",    "/**/**",
        "/{x=**}/b", "/{1}",    "/{id.1}",    "/{-}",
        "/a?b",      "/a b",    "/a*",        "/***",
        "/a/b:",     "/a:b/c",  "/a:b:c",     "/a%zz",
        "/a%2",      "/a}",     "/{x=a}}",    "/a\tb",
        "/\xc3\xa9", "/{x=*}:", "/a/{x}{id}", "/{.x}",
        "/{x..y}",   "/**a",
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowTemplate parsed;
        if (flow_template_path_parse(rows[i], &parsed) == NULL)
            fail_msg("\"%s\" was accepted", rows[i]);
    }
}

static void templates_that_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t segments, variables;
        const char *verb;
    } rows[] = {
        {"/a", 1, 0, ""},
        {"/a/b/c", 3, 0, ""},
        {"/*", 1, 0, ""},
        {"/**", 1, 0, ""},
        {"/a/*/b", 3, 0, ""},
        {"/a/{x}", 2, 1, ""},
        {"/a/{x=*}/c", 3, 1, ""},
        {"/a/{x.y_z.w1=b/*/c/**}", 5, 1, ""},
        {"/{x=**}:verb", 1, 1, "verb"},
        {"/a:b", 1, 0, "b"},
        {"/v1/{a}/{b}:do-It", 3, 2, "do-It"},
        {"/a-._~!$&'()+,;=@%20", 1, 0, ""},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowTemplate parsed;
        const char *problem = flow_template_path_parse(rows[i].text, &parsed);
        if (problem != NULL)
            fail_msg("\"%s\": %s", rows[i].text, problem);
        assert_int_equal(parsed.segment_count, rows[i].segments);
        assert_int_equal(parsed.variable_count, rows[i].variables);
        assert_int_equal(parsed.verb_len, strlen(rows[i].verb));
        assert_memory_equal(parsed.verb, rows[i].verb, parsed.verb_len);
    }
}

static void bounds_of_templates(void **state)
{
    (void)state;
    FlowTemplate parsed;
    char text[4096] = "";
    for (int i = 0; i < FLOW_TEMPLATE_SEGMENTS; i++)
        strcat(text, "/a");
    assert_null(flow_template_path_parse(text, &parsed));
    strcat(text, "/a");
    assert_non_null(flow_template_path_parse(text, &parsed));
}

/* ---- matching ---- */

enum { FIELDS = 8 };
static FlowWireMessage request, inner;
static FlowWireField fields[FIELDS], inner_fields[1];

/* A message { id, x, a: string; n: int32; list: repeated string; inner { id } } as the descriptors would say it. */
static void make_messages(void)
{
    static const char *const names[] = {"id", "x", "a", "n", "list", "inner", "many", "long_name"};
    inner_fields[0] = (FlowWireField){
        .name = "id", .json_name = "id", .number = 1, .type = FLOW_WIRE_STRING, .owner = &inner};
    inner =
        (FlowWireMessage){.full_name = "t.Inner", .name = "Inner", .fields = inner_fields, .field_count = 1};
    for (uint32_t i = 0; i < FIELDS; i++)
        fields[i] = (FlowWireField){.name = names[i],
                                    .json_name = names[i],
                                    .number = i + 1,
                                    .type = FLOW_WIRE_STRING,
                                    .owner = &request};
    fields[3].type = FLOW_WIRE_INT32;
    fields[4].repeated = true;
    fields[5].type = fields[6].type = FLOW_WIRE_MESSAGE;
    fields[5].message = fields[6].message = &inner;
    fields[6].repeated = true;
    fields[7].json_name = "longName";
    request = (FlowWireMessage){
        .full_name = "t.Request", .name = "Request", .fields = fields, .field_count = FIELDS};
}

static FlowStatus add(FlowRouter *router, const char *verb, const char *path, const char *body,
                      FlowError *error)
{
    static FlowWireMethod method;
    method = (FlowWireMethod){.full_name = "t.S/M", .name = "M", .request = &request, .response = &request};
    return flow_router_add(router, &method, &(FlowWireHttpRule){verb, path, body, ""}, NULL, error);
}

static void rules_that_are_refused_at_start(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *part;
    } rows[] = {
        {"/a/{nothing}", "", "no field"},
        {"/a/{inner.nothing}", "", "no field"},
        {"/a/{id.x}", "", "no field"},
        {"/a/{x}/{x}", "", "twice"},
        {"/a/{longName}/{long_name}", "", "twice"},
        {"/a/{list}", "", "singular scalar"},
        {"/a/{inner}", "", "singular scalar"},
        {"/a/{many.id}", "", "list"},
        {"/a", "nothing", "no field"},
        {"/a", "inner.id", "no field"},
        {"/there/{id}", "", "same verb and pattern"},
        {"/there/*", "", "same verb and pattern"},
        {"/a/", "", "segment"},
    };
    FlowRouter *router = flow_router_new();
    FlowError error;
    assert_int_equal(add(router, "GET", "/there/{x}", "", &error), FLOW_OK);
    assert_int_equal(add(router, "POST", "/there/{x}", "*", &error), FLOW_OK);
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        assert_int_equal(add(router, "GET", rows[i].path, rows[i].body, &error), FLOW_INVALID_ARGUMENT);
        assert_string_equal(error.reason, "BAD_HTTP_RULE");
        if (strstr(error.message, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].path, error.message);
    }
    flow_router_free(router);
}

typedef struct Case {
    const char *templates; /* separated by spaces; all GET unless they begin with "POST" */
    const char *path;
    int route;          /* index; -1: 404, -2: 405 */
    const char *values; /* of its variables, separated by "|" */
} Case;

static const Case cases[] = {
    {"/person/{id=*} /{x=**}:verb", "/person/jason:verb", 1, "person/jason"},
    {"/person/{id=*} /{x=**}:verb", "/person/jason:other", 0, "jason:other"},
    {"/{a=**}:verb /{a=**}", "/some:verb/const:verb", 0, "some:verb/const"},
    {"/{a=**}:verb /{a=**}", "/some:verb/const", 1, "some:verb/const"},
    {"/a/{x}/c", "/a/p%20q%2Fr+/c", 0, "p q/r+"},
    {"/a/{x=**}", "/a/p/foo%20foo/q%2Fr+", 0, "p/foo foo/q%2Fr+"},
    {"/a/{x=b/*}", "/a/b/q%2fr", 0, "b/q%2fr"},
    {"/a/{x=b}", "/a/b", 0, "b"},
    {"/some/*:verb", "/some/other:verb/", -1, ""},
    {"/some/*:verb", "/some/other:verb", 0, ""},
    {"/some/*:verb", "/some/:verb", -1, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c/x/d/e", 1, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c/f/d/e", 2, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c/f/d/g", 0, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c//v/d/w", -1, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c/x/d", 0, ""},
    {"/c/*/d/** /c/*/d/e /c/f/d/e", "/c/x/d/", -1, ""},
    /* Back from a literal that leads nowhere. */
    {"/a/b/c /a/{x}/d", "/a/b/d", 1, "b"},
    {"/a/b/c/d /a/{x=**}", "/a/b/c", 1, "b/c"},
    {"/a/{x} /a/{id}/{x}", "/a/1/2", 1, "1|2"},
    {"/a/{inner.id}", "/a/7", 0, "7"},
    {"/a", "/a/", -1, ""},
    {"/a", "/A", -1, ""},
    {"/a", "/a?", -1, ""},
    {"/a", "a", -1, ""},
    {"/a", "", -1, ""},
    {"/a/{x}", "/a/", -1, ""},
    {"/a/{x}", "/a/..", 0, ".."},
    {"/a/{x}", "/a/%2e%2e%2f", 0, "../"},
    /* Custom verbs. */
    {"/w:validate /w/{x}:run /w/{x}", "/w:validate", 0, ""},
    {"/w:validate /w/{x}:run /w/{x}", "/w/1:run", 1, "1"},
    {"/w:validate /w/{x}:run /w/{x}", "/w/1:walk", 2, "1:walk"},
    {"/w:validate /w/{x}:run /w/{x}", "/w/1:2:run", 1, "1:2"},
    {"/w:validate /w/{x}:run /w/{x}", "/w/1%3Arun", 2, "1:run"},
    {"/w:validate /w/{x}:run /w/{x}", "/w/:", 2, ":"},
    /* Verbs. */
    {"POST/a", "/a", -2, ""},
    {"POST/a /a", "/a", 1, ""},
    {"POST/a/b /a/{x}", "/a/b", 1, "b"},
    {"POST/w/{x}:run /w/{x}", "/w/1:run", -2, ""},
};

static void add_all(FlowRouter *router, const char *templates, char names[8][64])
{
    int count = 0;
    for (const char *at = templates; *at != '\0'; count++) {
        size_t len = strcspn(at, " ");
        const char *verb = strncmp(at, "POST", 4) == 0 ? "POST" : "GET";
        const char *path = *verb == 'P' ? at + 4 : at;
        FlowError error;
        snprintf(names[count], 64, "%.*s", (int)(at + len - path), path);
        if (add(router, verb, names[count], "", &error) != FLOW_OK)
            fail_msg("%s", error.message);
        at += len + (at[len] == ' ');
    }
}

static void paths_find_their_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(cases); i++) {
        const Case *row = &cases[i];
        char names[8][64];
        FlowRouter *router = flow_router_new();
        add_all(router, row->templates, names);
        FlowRouteMatch match;
        FlowError error;
        FlowStatus status =
            flow_router_match(router, "GET", row->path, strlen(row->path), &match, NULL, &error);
        FlowStatus expected = row->route >= 0    ? FLOW_OK
                              : row->route == -1 ? FLOW_NOT_FOUND
                                                 : FLOW_UNIMPLEMENTED;
        if (status != expected)
            fail_msg("%s among %s: %s", row->path, row->templates, flow_status_name(status));
        if (status == FLOW_OK) {
            FlowBuf values;
            flow_buf_init(&values, 0);
            if (match.route->template_text != names[row->route])
                fail_msg("%s among %s found %s", row->path, row->templates, match.route->template_text);
            for (size_t v = 0; v < match.route->variable_count; v++) {
                if (v > 0)
                    flow_buf_byte(&values, '|');
                assert_int_equal(
                    flow_route_variable_text(&match, &match.route->variables[v], &values, &error), FLOW_OK);
            }
            assert_string_equal(flow_buf_text(&values), row->values);
            flow_buf_done(&values);
        }
        flow_router_free(router);
    }
}

static void other_verbs_are_listed(void **state)
{
    (void)state;
    FlowRouter *router = flow_router_new();
    FlowError error;
    FlowRouteMatch match;
    FlowBuf allow;
    add(router, "GET", "/a/{x}", "", &error);
    add(router, "PATCH", "/a/{x}", "*", &error);
    add(router, "DELETE", "/a/b", "", &error);
    flow_buf_init(&allow, 0);
    assert_int_equal(flow_router_match(router, "PUT", "/a/b", 4, &match, &allow, &error), FLOW_UNIMPLEMENTED);
    assert_string_equal(error.reason, "METHOD_NOT_ALLOWED");
    assert_string_equal(flow_buf_text(&allow), "DELETE, PATCH, GET, HEAD");
    flow_buf_done(&allow);
    assert_int_equal(flow_router_match(router, "HEAD", "/a/b", 4, &match, NULL, &error), FLOW_OK);
    assert_int_equal(flow_router_match(router, "get", "/a/b", 4, &match, NULL, &error), FLOW_UNIMPLEMENTED);
    flow_router_free(router);
}

static void bad_escapes_are_errors(void **state)
{
    (void)state;
    static const char *const rows[] = {"/a/%",   "/a/%1",     "/a/%zz",      "/a/1%2",
                                       "/a/%ff", "/a/%c3%28", "/a/%ed%a0%80"};
    FlowRouter *router = flow_router_new();
    FlowError error;
    add(router, "GET", "/a/{x}", "", &error);
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowRouteMatch match;
        FlowBuf text;
        flow_buf_init(&text, 0);
        assert_int_equal(flow_router_match(router, "GET", rows[i], strlen(rows[i]), &match, NULL, &error),
                         FLOW_OK);
        assert_int_equal(flow_route_variable_text(&match, &match.route->variables[0], &text, &error),
                         FLOW_INVALID_ARGUMENT);
        assert_string_equal(error.where, "x");
        flow_buf_done(&text);
    }
    flow_router_free(router);
}

static void the_whole_contract_is_accepted(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    FlowRouter *router = flow_router_new();
    size_t rules = 0;
    for (size_t i = 0; i < flow_wire_service_count(pool); i++) {
        const FlowWireService *service = flow_wire_service_at(pool, i);
        for (size_t m = 0; m < service->method_count; m++) {
            for (size_t r = 0; r < service->methods[m].http_count; r++, rules++) {
                FlowError error;
                if (flow_router_add(router, &service->methods[m], &service->methods[m].http[r], NULL,
                                    &error) != FLOW_OK)
                    fail_msg("%s", error.message);
            }
        }
    }
    assert_true(rules >= 50);
    flow_router_free(router);
}

int main(void)
{
    make_messages();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_that_are_refused), cmocka_unit_test(templates_that_are_read),
        cmocka_unit_test(bounds_of_templates),        cmocka_unit_test(rules_that_are_refused_at_start),
        cmocka_unit_test(paths_find_their_routes),    cmocka_unit_test(other_verbs_are_listed),
        cmocka_unit_test(bad_escapes_are_errors),     cmocka_unit_test(the_whole_contract_is_accepted),
    };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
