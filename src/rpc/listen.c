#include "rpc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static FlowStatus bad(FlowError *reterr, const char *text, const char *what)
{
    return flow_error_set(
        reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", NULL,
        "\"%s\" is no address to listen on: %s. Write HOST:PORT, [IPV6]:PORT, unix:/PATH or "
        "unix-abstract:NAME; port 0 takes a free one",
        text, what);
}

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static FlowStatus parse_unix(const char *text, const char *name, FlowListenKind kind, FlowListen *to,
                             FlowError *reterr)
{
    if (*name == '\0' || strlen(name) >= sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
        return bad(reterr, text, "a unix socket's name has 1 to 106 bytes");
    to->kind = kind;
    to->local = true;
    snprintf(to->host, sizeof to->host, "%s", name);
    return FLOW_OK;
}

FlowStatus flow_listen_parse(const char *text, FlowListen *ret_listen, FlowError *reterr)
{
    FlowListen made = {.kind = FLOW_LISTEN_TCP};
    FlowStatus status = FLOW_OK;
    if (strncmp(text, "unix:", 5) == 0) {
        status = parse_unix(text, text + 5, FLOW_LISTEN_UNIX, &made, reterr);
    } else if (strncmp(text, "unix-abstract:", 14) == 0) {
        status = parse_unix(text, text + 14, FLOW_LISTEN_UNIX_ABSTRACT, &made, reterr);
    } else {
        const char *colon = strrchr(text, ':'), *host = text;
        if (colon == NULL)
            return bad(reterr, text, "the port is missing");
        size_t len = (size_t)(colon - text);
        if (len >= 2 && host[0] == '[' && colon[-1] == ']') {
            host++;
            len -= 2;
        } else if (memchr(text, ':', len) != NULL) {
            return bad(reterr, text, "an IPv6 address stands in brackets");
        }
        char *end;
        long port = strtol(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
            return bad(reterr, text, "the port is no number from 0 to 65535");
        if (len == 0 || len >= sizeof made.host)
            return bad(reterr, text, "the host is missing");
        snprintf(made.host, sizeof made.host, "%.*s", (int)len, host);
        made.port = (int)port;
        made.local = is_loopback(made.host);
    }
    if (status == FLOW_OK)
        *ret_listen = made;
    return status;
}

FlowStatus flow_listen_parse_list(const char *text, FlowListen *ret_listens, size_t *ret_count,
                                  FlowError *reterr)
{
    size_t count = 0;
    for (;;) {
        const char *comma = strchrnul(text, ',');
        char one[FLOW_LISTEN_TEXT];
        if (count == FLOW_LISTEN_MAX)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", NULL,
                                  "there are more than %d addresses to listen on", FLOW_LISTEN_MAX);
        snprintf(one, sizeof one, "%.*s", (int)(comma - text), text);
        FlowStatus status = flow_listen_parse(one, &ret_listens[count++], reterr);
        if (status != FLOW_OK)
            return status;
        if (*comma == '\0')
            break;
        text = comma + 1;
    }
    *ret_count = count;
    return FLOW_OK;
}

void flow_listen_text(const FlowListen *listen, char to[FLOW_LISTEN_TEXT])
{
    if (listen->kind == FLOW_LISTEN_UNIX)
        snprintf(to, FLOW_LISTEN_TEXT, "unix:%s", listen->host);
    else if (listen->kind == FLOW_LISTEN_UNIX_ABSTRACT)
        snprintf(to, FLOW_LISTEN_TEXT, "unix-abstract:%s", listen->host);
    else if (strchr(listen->host, ':') != NULL)
        snprintf(to, FLOW_LISTEN_TEXT, "[%s]:%d", listen->host, listen->port);
    else
        snprintf(to, FLOW_LISTEN_TEXT, "%s:%d", listen->host, listen->port);
}

FlowStatus flow_listen_lock(const FlowListen *listen, int *ret_fd, FlowError *reterr)
{
    if (listen->kind != FLOW_LISTEN_UNIX) {
        *ret_fd = -1;
        return FLOW_OK;
    }
    char path[FLOW_LISTEN_TEXT];
    snprintf(path, sizeof path, "%s.lock", listen->host);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, NULL,
                              "can't make the lock file \"%s\": %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return flow_error_set(
            reterr, FLOW_ALREADY_EXISTS, NULL, NULL,
            "another process listens on unix:%s (it holds %s): stop it or choose another path", listen->host,
            path);
    }
    *ret_fd = fd;
    return FLOW_OK;
}

FlowStatus flow_listen_explain(const FlowListen *listen, FlowError *reterr)
{
    char text[FLOW_LISTEN_TEXT], port[16];
    flow_listen_text(listen, text);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    snprintf(port, sizeof port, "%d", listen->port);
    int failed = listen->kind == FLOW_LISTEN_TCP ? getaddrinfo(listen->host, port, &hints, &found) : 0;
    if (failed != 0)
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, NULL, "can't listen on %s: %s", text,
                              gai_strerror(failed));
    int error = 0;
    for (struct addrinfo *at = found; at != NULL && error == 0; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0)
            error = errno;
        if (fd >= 0)
            close(fd);
    }
    if (found != NULL)
        freeaddrinfo(found);
    if (error == EADDRINUSE)
        return flow_error_set(
            reterr, FLOW_ALREADY_EXISTS, NULL, NULL,
            "can't listen on %s: another process does already, perhaps another flowd: stop it "
            "or choose another port (0 takes a free one)",
            text);
    return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, NULL, "can't listen on %s: %s", text,
                          error != 0 ? strerror(error) : "the address was refused");
}
