#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"

static void status_names_and_errors(void **state)
{
    (void)state;
    assert_string_equal(flow_status_name(FLOW_ABORTED), "ABORTED");
    assert_int_equal(flow_status_from_name("UNAVAILABLE"), 14);
    assert_int_equal(flow_status_from_name("nope"), -1);
    assert_int_equal(flow_status_http(FLOW_NOT_FOUND), 404);
    assert_string_equal(flow_status_name((FlowStatus)99), "UNKNOWN");

    FlowError error;
    assert_int_equal(flow_error_set(&error, FLOW_NOT_FOUND, "RUN_UNKNOWN", "run_id", "no run \"%s\"\n", "r1"),
                     FLOW_NOT_FOUND);
    assert_string_equal(error.message, "no run \"r1\" ");
    flow_error_within(&error, "request");
    assert_string_equal(error.where, "request.run_id");
    /* The text may come from the error that it replaces. */
    flow_error_set(&error, FLOW_INTERNAL, NULL, NULL, "seen: %s", error.message);
    assert_string_equal(error.message, "seen: no run \"r1\" ");
    assert_int_equal(flow_error_set(NULL, FLOW_ABORTED, NULL, NULL, "x"), FLOW_ABORTED);
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    FlowError error;
    char text[2000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        size_t len = shift;
        for (; len + 3 < sizeof text; len += 3)
            memcpy(text + len, "\xe2\x82\xac", 3);
        text[len] = '\0';
        flow_error_set(&error, FLOW_INTERNAL, NULL, NULL, "%s", text);
        assert_true(flow_utf8_valid(error.message, strlen(error.message)));
        assert_true(strlen(error.message) > sizeof error.message - 5);
    }
}

static void arena_keeps_to_its_limit(void **state)
{
    (void)state;
    FlowArena arena;
    flow_arena_init(&arena, 10000);
    size_t got = 0;
    for (char *p; (p = flow_arena_alloc(&arena, 100)) != NULL; got++)
        memset(p, 1, 100);
    assert_in_range(got, 80, 100);
    assert_null(flow_arena_alloc(&arena, SIZE_MAX - 8));
    flow_arena_reset(&arena);
    assert_string_equal(flow_arena_strndup(&arena, "hello", 4), "hell");
    assert_null(flow_arena_calloc(&arena, SIZE_MAX / 2, 4));
    flow_arena_done(&arena);
}

static void buf_fails_once_and_stays_so(void **state)
{
    (void)state;
    FlowBuf buf;
    flow_buf_init(&buf, 8);
    flow_buf_str(&buf, "12345678");
    assert_false(buf.failed);
    assert_string_equal(flow_buf_text(&buf), "12345678");
    flow_buf_byte(&buf, '9');
    assert_true(buf.failed);
    assert_null(flow_buf_take(&buf, NULL));
    flow_buf_clear(&buf);
    flow_buf_printf(&buf, "%d-%s", 42, "x");
    size_t len;
    char *text = flow_buf_take(&buf, &len);
    assert_int_equal(len, 4);
    assert_string_equal(text, "42-x");
    free(text);
    flow_buf_init(&buf, 0);
    for (int i = 0; i < 1000; i++)
        flow_buf_printf(&buf, "%0300d", i);
    assert_int_equal(buf.len, 300000);
    flow_buf_done(&buf);
}

static void map_survives_growth_and_removal(void **state)
{
    (void)state;
    FlowMap map;
    flow_map_init(&map);
    assert_null(flow_map_find(&map, "x"));
    for (intptr_t i = 1; i <= 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", (int)i);
        assert_true(flow_map_put(&map, key, (void *)i));
    }
    for (intptr_t i = 1; i <= 5000; i += 2) {
        char key[16];
        snprintf(key, sizeof key, "k%d", (int)i);
        assert_ptr_equal(flow_map_remove(&map, key, strlen(key)), (void *)i);
    }
    assert_int_equal(map.count, 2500);
    for (intptr_t i = 1; i <= 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", (int)i);
        assert_ptr_equal(flow_map_find(&map, key), i % 2 ? NULL : (void *)i);
    }
    size_t seen = 0;
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&map, e));)
        seen++;
    assert_int_equal(seen, 2500);
    void *old;
    assert_true(flow_map_set(&map, "k2", 2, (void *)7, &old));
    assert_ptr_equal(old, (void *)2);
    flow_map_done(&map, NULL);
}

static void list_moves_and_splices(void **state)
{
    (void)state;
    struct item {
        int n;
        FlowList link;
    } items[4];
    FlowList a, b;
    flow_list_init(&a);
    flow_list_init(&b);
    for (int i = 0; i < 4; i++) {
        items[i].n = i;
        flow_list_push_back(i < 2 ? &a : &b, &items[i].link);
    }
    flow_list_splice_back(&a, &b);
    assert_true(flow_list_empty(&b));
    int expected = 0;
    FLOW_LIST_FOR_EACH(link, &a)
    {
        assert_int_equal(flow_list_entry(link, struct item, link)->n, expected++);
        flow_list_remove(link);
    }
    assert_int_equal(expected, 4);
    assert_null(flow_list_pop_front(&a));
}

static void siphash_matches_the_paper(void **state)
{
    (void)state;
    unsigned char message[15];
    for (int i = 0; i < 15; i++)
        message[i] = (unsigned char)i;
    static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    assert_true(flow_siphash(message, 15, key) == 0xa129ca6149be45e5);
    FlowHash128 empty = flow_siphash128(message, 0, key);
    static const unsigned char vector[16] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                             0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
    assert_memory_equal(&empty.low, vector, 8);
    assert_memory_equal(&empty.high, vector + 8, 8);
}

static void utf8_refuses_what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t valid;
    } rows[] = {
        {"plain ascii that is longer than eight", 37},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9},
        {"ab\xc0\x80", 2},
        {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"12345678\xff", 8},
        {"x\xe2\x82", 1},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        assert_int_equal(flow_utf8_valid_prefix(rows[i].text, strlen(rows[i].text)), rows[i].valid);
    for (uint32_t code = 0; code < 0x110000; code += 37) {
        char bytes[4];
        size_t size = flow_utf8_encode(code, bytes), back;
        if (code >= 0xd800 && code <= 0xdfff) {
            assert_int_equal(size, 0);
            continue;
        }
        assert_int_equal(flow_utf8_decode(bytes, size, &back), code);
        assert_int_equal(back, size);
    }
    assert_int_equal(flow_utf8_count("a\xc3\xa4z", 4), 3);
    assert_int_equal(flow_utf8_offset("a\xc3\xa4z", 4, 2), 3);
    assert_int_equal(flow_utf8_offset("a\xc3\xa4z", 4, 9), 4);
}

static void on_move(void *context)
{
    ++*(int *)context;
}

static void test_clock_moves_when_told(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(1000);
    int moves = 0;
    flow_clock_on_move(clock, on_move, &moves);
    assert_int_equal(flow_clock_wall_ns(clock), 1000);
    flow_test_clock_advance(clock, 5 * FLOW_NS_PER_S);
    assert_int_equal(flow_clock_mono_ns(clock), 5 * FLOW_NS_PER_S);
    assert_int_equal(moves, 1);
    flow_clock_off_move(clock, on_move, &moves);
    flow_test_clock_advance(clock, 1);
    assert_int_equal(moves, 1);
    flow_test_clock_free(clock);

    char text[FLOW_TIME_TEXT];
    flow_time_format(INT64_C(1763930191042000000), text);
    assert_string_equal(text, "2025-11-23T20:36:31.042Z");
    flow_time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void ids(void **state)
{
    (void)state;
    char a[FLOW_UUID_TEXT], b[FLOW_UUID_TEXT];
    flow_uuid_make(INT64_C(1763930191042000000), a);
    flow_uuid_make(INT64_C(1763930191043000000), b);
    assert_true(flow_uuid_valid(a, strlen(a)));
    assert_true(strcmp(a, b) < 0);
    assert_int_equal(a[14], '7');
    assert_false(flow_uuid_valid("0193-", 5));
    assert_true(flow_id_valid("a.B_c-9", 7));
    assert_false(flow_id_valid("", 0));
    assert_false(flow_id_valid("a/b", 3));
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    flow_id_encode(&buf, "a b/\xc3\xa4", 6);
    assert_string_equal(flow_buf_text(&buf), "a%20b%2F%C3%A4");
    flow_buf_done(&buf);

    static const char *const names[] = {"counter", "filter", "log", "end"};
    assert_string_equal(flow_nearest_name("countr", 6, names, 4), "counter");
    assert_string_equal(flow_nearest_name("Fitler", 6, names, 4), "filter");
    assert_null(flow_nearest_name("zebra", 5, names, 4));
}

static void log_lines(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    FlowClock *clock = flow_test_clock_new(INT64_C(1763930191042000000));
    flow_log_setup(FLOW_LOG_INFO, FLOW_LOG_JSON, ends[1], clock);
    flow_log(FLOW_LOG_DEBUG, "not seen");
    flow_log(FLOW_LOG_WARNING, "full \"disk\"", FLOW_F_STR("path", "/a\n\xff"), FLOW_F_INT("free", -3),
             FLOW_F_BOOL("ok", false), FLOW_F_STR("none", NULL));
    char line[512] = "";
    ssize_t len = read(ends[0], line, sizeof line - 1);
    assert_true(len > 0);
    assert_string_equal(
        line,
        "{\"time\":\"2025-11-23T20:36:31.042Z\",\"level\":\"warning\",\"message\":\"full \\\"disk\\\"\","
        "\"path\":\"/a\\n\\ufffd\",\"free\":-3,\"ok\":false}\n");
    flow_log_setup(FLOW_LOG_INFO, FLOW_LOG_HUMAN, ends[1], clock);
    flow_log(FLOW_LOG_INFO, "ready", FLOW_F_STR("at", "127.0.0.1:1"), FLOW_F_STR("why", "two words"));
    memset(line, 0, sizeof line);
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    assert_string_equal(line, "2025-11-23T20:36:31.042Z info    ready at=127.0.0.1:1 why=\"two words\"\n");
    flow_log_setup(FLOW_LOG_INFO, FLOW_LOG_HUMAN, STDERR_FILENO, flow_clock_real());
    flow_test_clock_free(clock);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_names_and_errors),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(arena_keeps_to_its_limit),
        cmocka_unit_test(buf_fails_once_and_stays_so),
        cmocka_unit_test(map_survives_growth_and_removal),
        cmocka_unit_test(list_moves_and_splices),
        cmocka_unit_test(siphash_matches_the_paper),
        cmocka_unit_test(utf8_refuses_what_is_none),
        cmocka_unit_test(test_clock_moves_when_told),
        cmocka_unit_test(ids),
        cmocka_unit_test(log_lines),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
