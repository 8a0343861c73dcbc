/* internal.h - what the files of this room share: the server, its connections, and the request of each. */
#ifndef FLOW_HTTP_INTERNAL_H
#define FLOW_HTTP_INTERNAL_H

#include <http_parser.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/server.h"
#include "loop/timer.h"
#include "rpc/listen.h"

enum {
    FLOW_HTTP_HEAD_MAX = 16384, /* bytes of request line and headers */
    FLOW_HTTP_HEADERS_MAX = 100,
    FLOW_HTTP_READ_SIZE = 65536,
    FLOW_HTTP_BODY_STEP_MS = 5000 /* for a body; then at least 1 KiB a second must have come */
};

typedef struct FlowHttpConnection FlowHttpConnection;
/* One connection's TLS; see tls.c. */
typedef struct FlowHttpTls FlowHttpTls;
/* A connection that belongs to another protocol, in TLS; see relay.c. */
typedef struct FlowHttpRelay FlowHttpRelay;
/* Certificates of a server, read again when they change. */
typedef struct FlowHttpCertificates FlowHttpCertificates;

typedef union FlowHttpStream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
} FlowHttpStream;

typedef struct FlowHttpListener {
    FlowHttpStream socket;
    FlowHttpServer *server;
    FlowListen address;
    int lock_fd;
} FlowHttpListener;

struct FlowHttpServer {
    FlowHttpOptions options;
    FlowLoop *loop;
    FlowHttpListener listeners[FLOW_LISTEN_MAX];
    size_t listener_count;
    char *address;
    FlowTask close_task;
    FlowList connections; /* those that wait for a request longest come first */
    unsigned connection_count;
    bool closing;
    FlowHttpCertificates *certificates; /* NULL: no TLS */
    char buffer[FLOW_HTTP_READ_SIZE];
};

typedef struct FlowHttpHeader {
    size_t name, value; /* offsets into `head` */
} FlowHttpHeader;

/* How far the strict look at the head's raw bytes is: what the parser would let through. */
typedef enum FlowHttpScan {
    FLOW_HTTP_SCAN_START, /* empty lines before a request are nothing */
    FLOW_HTTP_SCAN_START_CR,
    FLOW_HTTP_SCAN_FIRST, /* the request line: single spaces */
    FLOW_HTTP_SCAN_FIRST_SPACE,
    FLOW_HTTP_SCAN_LINE,
    FLOW_HTTP_SCAN_CR,
    FLOW_HTTP_SCAN_LINE_BEGIN,
    FLOW_HTTP_SCAN_LAST_CR,
    FLOW_HTTP_SCAN_DONE
} FlowHttpScan;

struct FlowHttpRequest {
    FlowHttpConnection *connection;
    FlowBuf target; /* path, NUL, query, NUL */
    size_t path, query;
    FlowBuf head; /* name, NUL, value, NUL, … */
    FlowHttpHeader headers[FLOW_HTTP_HEADERS_MAX];
    size_t header_count;
    bool value_last;   /* the parser gave a piece of a value last */
    bool head_done;    /* what comes now as headers are trailers */
    bool value_folded; /* private */
    FlowBuf body;
    FlowBuf reply_head;
    bool began;   /* the head of a streamed reply is out */
    bool chunked; /* … in chunks; else the end of the connection ends it */
    int code;     /* of the reply, for the log */
    size_t sent;  /* bytes of the reply's body */
    int64_t started_ns;
    const char *log_id;         /* NULL: the client's own, if any */
    const FlowHttpWatch *watch; /* NULL: nobody wants to know */
    void *watch_data;
};

typedef enum FlowHttpState {
    FLOW_HTTP_READING,   /* a request is awaited or coming in; the parser gets what arrives */
    FLOW_HTTP_WORKING,   /* the handler has it; what the client sends ahead waits in `ahead` */
    FLOW_HTTP_FLUSHING,  /* the reply is complete and on its way */
    FLOW_HTTP_LINGERING, /* the last reply is out: what still comes is thrown away, so that it isn't lost */
    FLOW_HTTP_RELAYED,   /* another protocol has it, behind TLS */
    FLOW_HTTP_GONE       /* the socket is closed or closing */
} FlowHttpState;

struct FlowHttpConnection {
    FlowHttpStream socket;
    FlowHttpServer *server;
    const FlowHttpListener *listener;
    FlowList link;
    FlowTimer timer;
    http_parser parser;
    FlowHttpState state;
    unsigned holds; /* the socket, and the handler while it works */
    bool keep_alive;
    bool feeding;     /* feed() is on the stack: a reply only notes that it may go on */
    bool reading;     /* the socket is being read */
    bool client_done; /* it has sent all that it will */
    FlowHttpScan scan;
    int refusal; /* HTTP code of what is wrong with the request; 0: nothing */
    const char *refusal_text;
    FlowHttpRequest request;
    FlowBuf ahead;
    FlowBuf out;     /* waits for `sending` to be out */
    FlowBuf sending; /* libuv has it */
    size_t unsent;   /* of these, when the timer looked last */
    uv_write_t write;
    uv_shutdown_t shutdown;
    FlowHttpTls *tls;
    FlowHttpRelay *relay;
    char peer[FLOW_HTTP_PEER_TEXT];
};

/* Takes the next connection that waits at `listener`. */
void flow_http__accept(FlowHttpListener *listener);
/* Closes every connection. */
void flow_http__close_all(FlowHttpServer *server);
/* Bytes for the socket, as they go over it. */
void flow_http__out(FlowHttpConnection *self, const void *bytes, size_t len);
/* Gets them going. */
void flow_http__push(FlowHttpConnection *self);
/* Bytes of HTTP that came. */
void flow_http__in(FlowHttpConnection *self, const char *bytes, size_t len);
void flow_http__close(FlowHttpConnection *self);

/* The connection is closed when its timer fires, unless it is in a state where that means something else. */
void flow_http__guard(FlowHttpConnection *self, unsigned ms);

/* ---- parse.c ---- */

extern const http_parser_settings flow_http__parser;
/* Notes what is wrong with the request that is being read; -1, which stops the parser. */
int flow_http__refuse(FlowHttpConnection *self, int code, const char *text);
/* Looks at the head's raw bytes before the parser does; false: they are refused. */
bool flow_http__scan_head(FlowHttpConnection *self, const char *bytes, size_t len);

/* One hold less; the last one frees. */
void flow_http__let_go(FlowHttpConnection *self);

/* ---- relay ---- */

/* NULL when there are no descriptors; *ret_fd is the other protocol's end. */
FlowHttpRelay *flow_http__relay_new(FlowHttpConnection *connection, int *ret_fd);
void flow_http__relay_close(FlowHttpRelay *relay);
/* Bytes of the client. */
void flow_http__relay_in(FlowHttpRelay *relay, const char *bytes, size_t len);
bool flow_http__relay_full(const FlowHttpRelay *relay);
/* Looks whether the other protocol may be read. */
void flow_http__relay_look(FlowHttpRelay *relay);
/* Its side, in connection.c: bytes for the client; no more of them; there is room for more of the client's. */
void flow_http__relay_out(FlowHttpConnection *self, const void *bytes, size_t len);
void flow_http__relay_end(FlowHttpConnection *self);
void flow_http__relay_room(FlowHttpConnection *self);

/* ---- TLS ---- */

FlowStatus flow_http__certificates_new(const FlowTlsFiles *files, FlowHttpCertificates **ret,
                                       FlowError *reterr);
FlowHttpCertificates *flow_http__certificates_free(FlowHttpCertificates *certificates); /* always NULL */
/* NULL when there is no memory. */
FlowHttpTls *flow_http__tls_new(FlowHttpCertificates *certificates, FlowHttpConnection *connection);
FlowHttpTls *flow_http__tls_free(FlowHttpTls *tls); /* always NULL */
/* What came over the socket. */
void flow_http__tls_in(FlowHttpTls *tls, const char *bytes, size_t len);
/* What is to be sent. */
void flow_http__tls_out(FlowHttpTls *tls, const void *bytes, size_t len);
void flow_http__tls_bye(FlowHttpTls *tls);
/* Common name of the client's certificate, which was verified; "" without one. */
void flow_http__tls_identity(const FlowHttpTls *tls, char *to, size_t size);

#endif
