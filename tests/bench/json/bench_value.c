/*
 * What one node does to a payload: a changed copy of `data`, made and dropped again. Nanoseconds of CPU each.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "value/json.h"
#include "value/path.h"

enum { MOST_ROUNDS = 101, TIMES = 20000 };

static const char six_keys[] =
    "{\"id\":17,\"name\":\"alpha\",\"amount\":12.5,\"active\":true,\"tags\":[\"a\",\"b\"],"
    "\"note\":\"a text of more than fourteen bytes\"}";
static FlowValue data, long_key;
static FlowPath *path;

static void add_key(void)
{
    FlowValue mine = flow_value_ref(data);
    flow_object_set_take(&mine, "current", flow_value_int(7), NULL);
    flow_value_unref(mine);
}

static void add_object(void)
{
    FlowValue mine = flow_value_ref(data), own = flow_value_object();
    flow_object_set_take(&own, "current", flow_value_int(7), NULL);
    flow_object_set_take(&mine, "counter", own, NULL);
    flow_value_unref(mine);
}

static void add_unique(void)
{
    FlowValue mine = flow_value_ref(data);
    flow_object_add_unique_take(&mine, long_key, flow_value_int(7), NULL, NULL);
    flow_value_unref(mine);
}

static void replace(void)
{
    FlowValue mine = flow_value_ref(data);
    flow_object_set_take(&mine, "amount", flow_value_int(7), NULL);
    flow_value_unref(mine);
}

static void set_path(void)
{
    FlowValue mine = flow_value_ref(data);
    flow_path_set_take(&mine, path, flow_value_int(7), NULL);
    flow_value_unref(mine);
}

static volatile int64_t sink;

static void get(void)
{
    sink = flow_value_get_int(*flow_object_get(data, "id"));
}

static void take_reference(void)
{
    flow_value_unref(flow_value_ref(data));
}

static void small_object(void)
{
    FlowValue own = flow_value_object();
    flow_object_set_take(&own, "current", flow_value_int(7), NULL);
    flow_value_unref(own);
}

static void long_string(void)
{
    flow_value_unref(flow_value_stringn("a text of more than fourteen bytes", 34));
}

static const struct {
    const char *name;
    void (*once)(void);
} rows[] = {
    {"add a key to a shared object of 6", add_key},
    {"add {\"current\": n} to a shared object of 6", add_object},
    {"add a unique, long key to a shared object of 6", add_unique},
    {"replace a key in a shared object of 6", replace},
    {"set a.b in a shared object of 6, by path", set_path},
    {"make and free {\"current\": n}", small_object},
    {"make and free a string of 34 bytes", long_string},
    {"get a key of 6", get},
    {"take and drop a reference", take_reference},
};

int main(int argc, char **argv)
{
    static double ns[sizeof rows / sizeof rows[0]][MOST_ROUNDS];
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 9;
    if (rounds < 1 || rounds > MOST_ROUNDS)
        return 2;
    if (flow_json_read(six_keys, strlen(six_keys), NULL, &data, NULL) != FLOW_OK ||
        flow_path_parse("result.b", 8, &path, NULL) != FLOW_OK)
        return 1;
    long_key = flow_value_string("static-delay-node");
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            uint64_t start = bench_now();
            for (int k = 0; k < TIMES; k++)
                rows[i].once();
            ns[i][round] = (double)(bench_now() - start) / TIMES;
        }
    }
    printf("| work on a value | CPU ns |\n| --- | ---: |\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("| %s | %.1f |\n", rows[i].name, bench_median(ns[i], rounds));
    flow_value_unref(data);
    flow_value_unref(long_key);
    flow_path_free(path);
    return 0;
}
