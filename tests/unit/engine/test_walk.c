/* The walk of a unit: order, branches, joins, for-each, boundaries. One row per rule: what runs, and what comes out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "flows.h"

typedef struct Row {
    const char *name, *graph, *scripts;
    const char *trace; /* NULL: not looked at */
    const char *queue; /* what lies in "q" at the end */
    uint64_t done, filtered, dead;
} Row;

#define ONE   "'p': {'items': [1]}, "
#define Q(id) "'" id "': {'queue': 'q'}"

static const Row rows[] = {
    {"one node after another", "p>a a>h h>w", "{" ONE Q("w") "}", " p a h w p", "[{'item': 1}]", 1, 0, 0},
    {"a producer alone", "p", "{'p': {'items': [1, 2]}}", " p p p", "[]", 2, 0, 0},
    {"nothing to produce", "p>a", "{'p': {'items': []}}", " p", "[]", 0, 0, 0},
    {"depth first, in edge order", "p>a p>h a>a1 a>a2 h>h1", "{" ONE "}", " p a a1 a2 h h1 p", "[]", 1, 0, 0},
    {"edge order is that of the definition", "p>h p>a a>w", "{" ONE Q("w") "}", " p h a w p", "[{'item': 1}]",
     1, 0, 0},

    {"the branch that is named", "p>c c.a>h c.b>i", "{" ONE "'c': {'branch': 'b'}}", " p c i p", "[]", 1, 0,
     0},
    {"handles in any case", "p>c c.A>h c.B>i", "{" ONE "'c': {'branch': 'a'}}", " p c h p", "[]", 1, 0, 0},
    {"a branch without an edge ends there", "p>c c.a>h", "{" ONE "'c': {'branch': 'c'}}", " p c p", "[]", 1,
     0, 0},
    {"several edges on one branch", "p>c c.b>h c.b>i", "{" ONE "'c': {'branch': 'b'}}", " p c h i p", "[]", 1,
     0, 0},

    {"each target of a fan-out gets the payload as it was", "p>a p>h a>w h>w2",
     "{" ONE "'a': {'set': {'x': 1}}, 'h': {'set': {'y': 2}}, " Q("w") ", " Q("w2") "}", " p a w h w2 p",
     "[{'item': 1, 'x': 1}, {'item': 1, 'y': 2}]", 1, 0, 0},

    {"a join runs once, when its last edge is decided", "p>a p>h a>j h>j j>w",
     "{" ONE "'a': {'set': {'x': 1}}, 'h': {'set': {'x': 2}}, " Q("w") "}", " p a h j w p",
     "[{'item': 1, 'x': 1, 'x_2': 2}]", 1, 0, 0},
    {"live edges in edge order, whichever comes first", "h>j p>a p>h a>j j>w",
     "{" ONE "'a': {'set': {'x': 'a'}}, 'h': {'set': {'x': 'h'}}, " Q("w") "}", " p a h j w p",
     "[{'item': 1, 'x': 'h', 'x_2': 'a'}]", 1, 0, 0},
    {"a dead path doesn't hold the join", "p>c c.a>h c.b>i h>j i>j j>w",
     "{" ONE "'c': {'branch': 'b'}, 'i': {'set': {'x': 1}}, " Q("w") "}", " p c i j w p",
     "[{'item': 1, 'x': 1}]", 1, 0, 0},
    {"a join is dead if all its edges are", "p>c p>k c.a>h c.a>i h>j i>j j>w k>w2",
     "{" ONE "'c': {'branch': 'b'}, " Q("w") ", " Q("w2") "}", " p c k w2 p", "[{'item': 1}]", 1, 0, 0},
    {"death goes on through joins", "p>c p>k c.a>h c.a>i h>j i>j j>l l>m k>m m>w",
     "{" ONE "'c': {'branch': 'b'}, 'k': {'set': {'y': 1}}, " Q("w") "}", " p c k m w p",
     "[{'item': 1, 'y': 1}]", 1, 0, 0},
    {"a filter's end is a dead path, too", "p>d p>h d>j h>j j>w",
     "{" ONE "'h': {'set': {'y': 1}}, " Q("w") "}", " p d h j w p", "[{'item': 1, 'y': 1}]", 1, 0, 0},
    {"a path that dies last makes the join run", "p>h p>d h>j d>j j>w",
     "{" ONE "'h': {'set': {'y': 1}}, " Q("w") "}", " p h d j w p", "[{'item': 1, 'y': 1}]", 1, 0, 0},
    {"an edge right from the fork", "p>j p>a a>j j>w", "{" ONE "'a': {'set': {'x': 1}}, " Q("w") "}",
     " p a j w p", "[{'item': 1, 'x': 1}]", 1, 0, 0},
    {"two edges between the same two nodes", "p>a a>j a>j j>w", "{" ONE "'a': {'set': {'x': 1}}, " Q("w") "}",
     " p a j w p", "[{'item': 1, 'x': 1}]", 1, 0, 0},
    {"the fork is the nearest node on all live ways", "p>a a>h a>i h>j i>j j>w",
     "{" ONE "'a': {'set': {'x': 1}}, 'h': {'set': {'x': 2}}, 'i': {'set': {'z': 3}}, " Q("w") "}",
     " p a h i j w p", "[{'item': 1, 'x': 2, 'z': 3}]", 1, 0, 0},
    {"the fork of those alive, not of all", "p>k p>c c.a>a c.a>h c.b>j a>j h>j k>j j>w",
     "{" ONE
     "'c': {'branch': 'a'}, 'a': {'set': {'x': 2}}, 'k': {'set': {'x': 1}}, 'h': {'set': {'z': 3}}, " Q(
         "w") "}",
     " p k c a h j w p", "[{'item': 1, 'x': 2, 'z': 3, 'x_2': 1}]", 1, 0, 0},
    {"a key is gone only if every live path removed it", "p>a p>h a>j h>j j>w",
     "{'p': {'items': [1]}, 'a': {'remove': ['item'], 'set': {'x': 1}}, 'h': {'remove': ['item']}, " Q(
         "w") "}",
     " p a h j w p", "[{'x': 1}]", 1, 0, 0},
    {"a key that one path removed stays", "p>a p>h a>j h>j j>w",
     "{" ONE "'a': {'remove': ['item']}, 'h': {}, " Q("w") "}", " p a h j w p", "[{'item': 1}]", 1, 0, 0},
    {"joins behind joins", "p>a p>h a>j h>j j>k j>l k>m l>m m>w",
     "{" ONE
     "'a': {'set': {'v': 1}}, 'h': {'set': {'v': 2}}, 'k': {'set': {'v': 3}}, 'l': {'set': {'v_2': 4}}, " Q(
         "w") "}",
     " p a h j k l m w p", "[{'item': 1, 'v': 3, 'v_2': 4}]", 1, 0, 0},

    {"all branches filtered: the unit counts as filtered", "p>d d>w",
     "{'p': {'items': [1, 2, 1]}, 'd': {'if': 1}, " Q("w") "}", " p d p d w p d p", "[{'item': 2}]", 3, 2, 0},
    {"filtered here, ended there: done", "p>d p>e", "{" ONE "'d': {}}", " p d e p", "[]", 1, 0, 0},
    {"filtered, but something was pushed: done", "p>w p>d", "{" ONE Q("w") "}", " p w d p", "[{'item': 1}]",
     1, 0, 0},
    {"end ends its branch", "p>e e>w", "{" ONE Q("w") "}", " p e p", "[]", 1, 0, 0},

    {"for-each: the body for each element, then default", "p>a a>f f.body>x1 f.default>w",
     "{" ONE "'a': {'set': {'array': [5, 6]}}, 'x1': {'set': {'k': 1}, 'remove': ['array']}, " Q("w") "}",
     " p a f x1 x1 w p",
     "[{'item': 1, 'array': [5, 6], 'for_each': {'results': ["
     "{'item': 1, 'for_each': {'item': 5, 'index': 0, 'count': 2}, 'k': 1},"
     "{'item': 1, 'for_each': {'item': 6, 'index': 1, 'count': 2}, 'k': 1}], 'count': 2}}]",
     1, 0, 0},
    {"for-each over nothing", "p>a a>f f.body>x1 f.default>w",
     "{" ONE "'a': {'set': {'array': []}}, " Q("w") "}", " p a f w p",
     "[{'item': 1, 'array': [], 'for_each': {'results': [], 'count': 0}}]", 1, 0, 0},
    {"for-each without a body", "p>a a>f f.default>w", "{" ONE "'a': {'set': {'array': [7]}}, " Q("w") "}",
     " p a f w p",
     "[{'item': 1, 'array': [7], 'for_each': {'results': [{'item': 1, 'array': [7], 'for_each': {'item': 7, "
     "'index': 0, "
     "'count': 1}}], 'count': 1}}]",
     1, 0, 0},
    {"for-each: filtered elements are left out, count stays",
     "p>a a>f f.body>x1 x1>c c.a>d c.b>x2 f.default>x3 x3>w",
     "{" ONE "'a': {'set': {'array': [1, 2], 'way': 'a'}}, 'c': {'by': 'way'}, 'x3': {'remove': ['array', "
     "'way', 'item']}, " Q("w") "}",
     " p a f x1 c d x1 c d x3 w p", "[{'for_each': {'results': [], 'count': 2}}]", 1, 0, 0},
    {"for-each: several ends are joined", "p>a a>f f.body>x1 f.body>x2 f.default>x3 x3>w",
     "{" ONE
     "'a': {'set': {'array': [1]}}, 'x1': {'set': {'v': 1}, 'remove': ['for_each', 'item', 'array']}, "
     "'x2': {'set': {'v': 2}, 'remove': ['for_each', 'item', 'array']}, 'x3': {'remove': ['array', "
     "'item']}, " Q("w") "}",
     " p a f x1 x2 x3 w p", "[{'for_each': {'results': [{'v': 1, 'v_2': 2}], 'count': 1}}]", 1, 0, 0},
    {"for-each: a join in the body, anew for each element",
     "p>a a>f f.body>x1 f.body>x2 x1>j x2>j f.default>x3 x3>w",
     "{" ONE "'a': {'set': {'array': [1, 2]}}, 'x1': {'set': {'u': 1}}, 'x2': {'set': {'v': 2}}, "
     "'j': {'remove': ['for_each', 'item', 'array']}, 'x3': {'remove': ['array', 'item']}, " Q("w") "}",
     " p a f x1 x2 j x1 x2 j x3 w p",
     "[{'for_each': {'results': [{'u': 1, 'v': 2}, {'u': 1, 'v': 2}], 'count': 2}}]", 1, 0, 0},
    {"for-each: `end` in the body is an end", "p>a a>f f.body>x1 x1>e f.default>x3 x3>w",
     "{" ONE
     "'a': {'set': {'array': [1]}}, 'x1': {'remove': ['for_each', 'item', 'array'], 'set': {'k': 1}}, "
     "'x3': {'remove': ['array', 'item']}, " Q("w") "}",
     " p a f x1 e x3 w p", "[{'for_each': {'results': [{'k': 1}], 'count': 1}}]", 1, 0, 0},
    {"for-each in a for-each: for_each_2", "p>a a>f f.body>f2 f2.body>x1 f2.default>x2 f.default>x3 x3>w",
     "{" ONE "'a': {'set': {'array': [1, 2], 'inner': ['u']}}, 'f2': {'array': 'inner'}, "
     "'x1': {'remove': ['array', 'inner', 'item', 'for_each']}, 'x2': {'remove': ['array', 'inner', 'item', "
     "'for_each']}, "
     "'x3': {'remove': ['array', 'inner', 'item']}, " Q("w") "}",
     " p a f f2 x1 x2 f2 x1 x2 x3 w p",
     "[{'for_each': {'results': ["
     "{'for_each_2': {'results': [{'for_each_2': {'item': 'u', 'index': 0, 'count': 1}}], 'count': 1}},"
     "{'for_each_2': {'results': [{'for_each_2': {'item': 'u', 'index': 0, 'count': 1}}], 'count': 1}}], "
     "'count': 2}}]",
     1, 0, 0},
    {"for-each behind a for-each: made unique",
     "p>a a>f f.body>x1 f.default>f2 f2.body>x2 f2.default>x3 x3>w",
     "{" ONE "'a': {'set': {'array': [1]}}, 'x1': {'remove': ['for_each', 'item', 'array']}, "
     "'x2': {'remove': ['for_each', 'for_each_2', 'item', 'array']}, 'x3': {'remove': ['array', 'item']}, " Q(
         "w") "}",
     " p a f x1 f2 x2 x3 w p",
     "[{'for_each': {'results': [{}], 'count': 1}, 'for_each_2': {'results': [{}], 'count': 1}}]", 1, 0, 0},
    {"for-each: a failing element fails the unit", "p>a a>f f.body>b f.default>w",
     "{'p': {'items': [1, 2]}, 'a': {'set': {'array': [1, 2, 3]}}, 'b': {'if': 1}, " Q("w") "}",
     " p a f b p a f b b b w p", NULL, 1, 0, 1},
    {"for-each in a path of a join", "p>a p>h a>f f.body>x1 f.default>j h>j j>x3 x3>w",
     "{" ONE
     "'a': {'set': {'array': [1]}}, 'x1': {'remove': ['for_each', 'item', 'array']}, 'h': {'set': {'y': 1}}, "
     "'x3': {'remove': ['array']}, " Q("w") "}",
     " p a f x1 h j x3 w p", "[{'item': 1, 'for_each': {'results': [{}], 'count': 1}, 'y': 1}]", 1, 0, 0},
    {"for-each: pushes of the body are the unit's", "p>a a>f f.body>w f.default>e",
     "{" ONE "'a': {'set': {'array': [1, 2]}}, " Q("w") "}", " p a f w w e p",
     "[{'item': 1, 'array': [1, 2], 'for_each': {'item': 1, 'index': 0, 'count': 2}}, {'item': 1, 'array': "
     "[1, 2], "
     "'for_each': {'item': 2, 'index': 1, 'count': 2}}]",
     1, 0, 0},

    {"a non-blocking node goes on like others", "p>n n>a a>w", "{" ONE Q("w") "}", " p n a w p",
     "[{'item': 1}]", 1, 0, 0},
    {"a join at a non-blocking node", "p>a p>h a>n h>n n>w",
     "{" ONE "'a': {'set': {'x': 1}}, 'h': {'set': {'y': 2}}, " Q("w") "}", " p a h n w p",
     "[{'item': 1, 'x': 1, 'y': 2}]", 1, 0, 0},
    {"a join wholly behind a non-blocking node", "p>n n>a n>h a>j h>j j>w",
     "{" ONE "'a': {'set': {'x': 1}}, 'h': {'set': {'y': 2}}, " Q("w") "}", " p n a h j w p",
     "[{'item': 1, 'x': 1, 'y': 2}]", 1, 0, 0},
    {"pushes keep the order of the walk", "p>w p>a a>w2 p>w3",
     "{" ONE Q("w") ", 'a': {'set': {'x': 1}}, " Q("w2") ", " Q("w3") "}", " p w a w2 w3 p",
     "[{'item': 1}, {'item': 1, 'x': 1}, {'item': 1}]", 1, 0, 0},

    {"a failing node: the unit ends, the loop goes on", "p>a a>b b>w",
     "{'p': {'items': [1, 2, 3]}, 'b': {'if': 2}, " Q("w") "}", " p a b w p a b p a b w p",
     "[{'item': 1}, {'item': 3}]", 2, 0, 1},
    {"a failed unit pushes nothing", "p>w p>b", "{'p': {'items': [1, 2]}, 'b': {'if': 1}, " Q("w") "}",
     " p w b p w b p", "[{'item': 2}]", 1, 0, 1},
    {"what stood behind the failure is not executed", "p>b p>a", "{" ONE "}", " p b p", "[]", 0, 0, 1},
};

static void check_row(void **state)
{
    const Row *row = *state;
    fakes_reset();
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, row->graph, row->scripts, NULL));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_COMPLETED);
    char *trace = fakes_trace();
    if (row->trace)
        assert_string_equal(trace, row->trace);
    if (row->queue)
        flows_expect_queue(flows, "q", row->queue);
    const FlowLoopView *loop = &view->loops[0];
    assert_int_equal(loop->produced, row->done + row->dead);
    assert_int_equal(loop->done, row->done);
    assert_int_equal(loop->filtered, row->filtered);
    assert_int_equal(loop->dead_lettered, row->dead);
    assert_int_equal(loop->in_flight, 0);
    for (size_t i = 0; i < view->node_count; i++) {
        assert_int_equal(view->nodes[i].in_flight, 0);
        assert_int_equal(view->nodes[i].started, view->nodes[i].completed + view->nodes[i].failed);
    }
    flows_expect_balance(flows);
    flow_run_view_unref(view);
    flows_close(flows);
    free(trace);
    free(run);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows)];
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
