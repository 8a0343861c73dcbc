/*
 * Reading JSON text into a value and writing it again, against other libraries, on the same texts in the same
 * process. Each round runs every library for a slice of CPU time, in turn; what counts is the median of the
 * rounds' ratios.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "bench.h"
#include "value/json.h"

enum { MOST_ROUNDS = 101 };

static uint64_t slice_ns = 20 * 1000 * 1000;

/* ---- the texts ---- */

static uint64_t seed = 88172645463325252;

static uint64_t roll(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static const char *const words[] = {"alpha",
                                    "order",
                                    "Berlin",
                                    "shipment",
                                    "express",
                                    "Stra\xc3\x9f"
                                    "e",
                                    "invoice",
                                    "total",
                                    "green",
                                    "payload",
                                    "north",
                                    "quick",
                                    "customer",
                                    "k\xc3\xbchl"};

static void put_words(FlowBuf *buf, int count)
{
    for (int i = 0; i < count; i++)
        flow_buf_printf(buf, "%s%s", i > 0 ? " " : "", words[roll(sizeof words / sizeof words[0])]);
}

/* What flows through a workflow: orders, with ids, names, amounts, flags, some text. */
static void put_order(FlowBuf *buf)
{
    flow_buf_printf(buf, "{\"id\":%d,\"customer\":{\"name\":\"", (int)roll(1000000));
    put_words(buf, 2);
    flow_buf_printf(buf, "\",\"email\":\"%s.%d@example.com\",\"vip\":%s},\"lines\":[", words[roll(5)],
                    (int)roll(999), roll(2) ? "true" : "false");
    for (int i = 0, count = 1 + (int)roll(3); i < count; i++)
        flow_buf_printf(buf, "%s{\"sku\":\"SKU-%06d\",\"quantity\":%d,\"price\":%d.%02d}", i > 0 ? "," : "",
                        (int)roll(1000000), 1 + (int)roll(20), (int)roll(500), (int)roll(100));
    flow_buf_str(buf, "],\"note\":\"");
    put_words(buf, 4 + (int)roll(12));
    flow_buf_printf(
        buf, "\",\"created_at\":\"2024-%02d-%02dT%02d:%02d:00Z\",\"tags\":[\"%s\",\"%s\"],\"parent\":null}",
        1 + (int)roll(12), 1 + (int)roll(28), (int)roll(24), (int)roll(60), words[roll(5)], words[roll(5)]);
}

static void put_number_row(FlowBuf *buf)
{
    flow_buf_printf(buf, "[%.17g,%.6f,%d,%.3f]", (double)roll(1u << 30) / 777.0, (double)roll(1000000) / 1e4,
                    (int)roll(1u << 30) - (1 << 29), (double)roll(100000) / 1000);
}

static void put_text_row(FlowBuf *buf)
{
    flow_buf_str(buf, "\"");
    put_words(buf, 30 + (int)roll(30));
    flow_buf_str(buf, " \\\"quoted\\\" \\n and \\u00e4 more ");
    put_words(buf, 20);
    flow_buf_str(buf, "\"");
}

static void make_text(FlowBuf *buf, size_t size, void (*put_row)(FlowBuf *))
{
    flow_buf_init(buf, 0);
    flow_buf_str(buf, "{\"rows\":[");
    for (bool first = true; first || buf->len < size - 200; first = false) {
        if (!first)
            flow_buf_byte(buf, ',');
        put_row(buf);
    }
    flow_buf_str(buf, "]}");
}

/* ---- FlowEngine ---- */

static size_t flow_round(const char *text, size_t length)
{
    FlowValue value;
    if (flow_json_read(text, length, NULL, &value, NULL) != FLOW_OK)
        return 0;
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    size_t size = flow_json_write(value, &buf, 0, NULL) == FLOW_OK ? buf.len : 0;
    flow_buf_done(&buf);
    flow_value_unref(value);
    return size;
}

static size_t flow_read(const char *text, size_t length)
{
    FlowValue value;
    if (flow_json_read(text, length, NULL, &value, NULL) != FLOW_OK)
        return 0;
    flow_value_unref(value);
    return 1;
}

/* ---- measuring ---- */

typedef struct Runner {
    const char *name;
    BenchRound round;
    bool whole; /* reads and writes: to be compared */
    double us[MOST_ROUNDS], ratio[MOST_ROUNDS];
} Runner;

static Runner runners[] = {
    {.name = "FlowEngine", .round = flow_round, .whole = true},
    {.name = "yajl (events, no tree)", .round = bench_yajl, .whole = true},
    {.name = "simdjson (DOM)", .round = bench_simdjson, .whole = true},
    {.name = "json-c", .round = bench_json_c, .whole = true},
    {.name = "jansson", .round = bench_jansson, .whole = true},
    {.name = "FlowEngine, reading and freeing only", .round = flow_read},
    {.name = "simdjson, reading only", .round = bench_simdjson_read},
};

enum { RUNNERS = sizeof runners / sizeof runners[0] };

static double run_slice(const Runner *runner, const FlowBuf *text)
{
    uint64_t start = bench_now(), now = start;
    size_t times = 0;
    while (now - start < slice_ns) {
        for (int i = 0; i < 8; i++) {
            if (runner->round(text->data, text->len) == 0) {
                fprintf(stderr, "%s failed\n", runner->name);
                exit(1);
            }
        }
        times += 8;
        now = bench_now();
    }
    return (double)(now - start) / (double)times / 1000;
}

static void measure(const char *name, const FlowBuf *text, size_t rounds)
{
    for (size_t round = 0; round < rounds + 1; round++) {
        for (size_t i = 0; i < RUNNERS; i++) {
            double us = run_slice(&runners[i], text);
            /* The first round only warms up. */
            if (round == 0)
                continue;
            runners[i].us[round - 1] = us;
            runners[i].ratio[round - 1] = runners[0].us[round - 1] / us;
        }
    }
    for (size_t i = 0; i < RUNNERS; i++) {
        double us = bench_median(runners[i].us, rounds), ratio = bench_median(runners[i].ratio, rounds);
        printf("| %s | %zu | %s | %.2f | %.0f |", name, text->len, runners[i].name, us,
               (double)text->len / us);
        if (runners[i].whole && i > 0)
            printf(" %.2f |\n", ratio);
        else
            printf(" |\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t size;
        void (*put_row)(FlowBuf *);
    } texts[] = {
        {"orders 1 KiB", 1024, put_order},
        {"orders 64 KiB", 65536, put_order},
        {"numbers 64 KiB", 65536, put_number_row},
        {"text 64 KiB", 65536, put_text_row},
    };
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 9;
    if (rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: bench_json [rounds, 1 to %d]\n", MOST_ROUNDS);
        return 2;
    }
    printf("| text | bytes | library | CPU us per read + write | MB/s | FlowEngine / library |\n");
    printf("| --- | ---: | --- | ---: | ---: | ---: |\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        FlowBuf text;
        make_text(&text, texts[i].size, texts[i].put_row);
        measure(texts[i].name, &text, rounds);
        flow_buf_done(&text);
    }
    return 0;
}
