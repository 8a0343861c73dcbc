#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/listen.h"

typedef struct Row {
    const char *text;
    bool good, local;
    FlowListenKind kind;
    const char *host;
    int port;
} Row;

static const Row rows[] = {
    {"127.0.0.1:50051", true, true, FLOW_LISTEN_TCP, "127.0.0.1", 50051},
    {"127.8.9.1:0", true, true, FLOW_LISTEN_TCP, "127.8.9.1", 0},
    {"localhost:80", true, true, FLOW_LISTEN_TCP, "localhost", 80},
    {"[::1]:8080", true, true, FLOW_LISTEN_TCP, "::1", 8080},
    {"[::]:8080", true, false, FLOW_LISTEN_TCP, "::", 8080},
    {"[::ffff:127.0.0.1]:1", true, false, FLOW_LISTEN_TCP, "::ffff:127.0.0.1", 1},
    {"0.0.0.0:1", true, false, FLOW_LISTEN_TCP, "0.0.0.0", 1},
    {"example.com:443", true, false, FLOW_LISTEN_TCP, "example.com", 443},
    {"unix:/run/flowd.sock", true, true, FLOW_LISTEN_UNIX, "/run/flowd.sock", 0},
    {"unix-abstract:flowd", true, true, FLOW_LISTEN_UNIX_ABSTRACT, "flowd", 0},
    {"", false, false, 0, "", 0},
    {"127.0.0.1", false, false, 0, "", 0},
    {":80", false, false, 0, "", 0},
    {"127.0.0.1:", false, false, 0, "", 0},
    {"127.0.0.1:65536", false, false, 0, "", 0},
    {"127.0.0.1:-1", false, false, 0, "", 0},
    {"127.0.0.1:80x", false, false, 0, "", 0},
    {"::1:80", false, false, 0, "", 0},
    {"unix:", false, false, 0, "", 0},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowListen listen = {.port = -7};
    FlowError error;
    FlowStatus status = flow_listen_parse(row->text, &listen, &error);
    assert_int_equal(status, row->good ? FLOW_OK : FLOW_INVALID_ARGUMENT);
    if (!row->good) {
        assert_int_equal(listen.port, -7);
        return;
    }
    char text[FLOW_LISTEN_TEXT];
    assert_int_equal(listen.kind, row->kind);
    assert_string_equal(listen.host, row->host);
    assert_int_equal(listen.port, row->port);
    assert_int_equal(listen.local, row->local);
    flow_listen_text(&listen, text);
    assert_string_equal(text, row->text);
}

static void lists(void **state)
{
    FlowListen listens[FLOW_LISTEN_MAX];
    FlowError error;
    size_t count = 0;
    (void)state;
    assert_int_equal(flow_listen_parse_list("127.0.0.1:1,unix:/x", listens, &count, &error), FLOW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(flow_listen_parse_list("127.0.0.1:1,", listens, &count, &error), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_listen_parse_list("a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", listens, &count, &error),
                     FLOW_INVALID_ARGUMENT);
}

static void the_second_to_lock_a_socket_is_refused(void **state)
{
    char directory[] = "/tmp/flow-listen-XXXXXX", path[200];
    FlowListen listen;
    FlowError error;
    int first, second;
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "unix:%s/s", directory);
    assert_int_equal(flow_listen_parse(path, &listen, &error), FLOW_OK);
    assert_int_equal(flow_listen_lock(&listen, &first, &error), FLOW_OK);
    assert_int_equal(flow_listen_lock(&listen, &second, &error), FLOW_ALREADY_EXISTS);
    assert_non_null(strstr(error.message, "another process"));
    close(first);
    assert_int_equal(flow_listen_lock(&listen, &second, &error), FLOW_OK);
    close(second);
    snprintf(path, sizeof path, "%s/s.lock", directory);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows) + 2];
    size_t count = 0;
    for (; count < FLOW_COUNT(rows); count++)
        tests[count] = (struct CMUnitTest){rows[count].text, check_row, NULL, NULL, (void *)&rows[count]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(lists);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(the_second_to_lock_a_socket_is_refused);
    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
