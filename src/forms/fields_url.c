/*
 * fields_url.c - URLs. Two steps, as in Django: the text is taken apart and put together again (a missing
 * scheme becomes http, a missing host is taken from the path), then the whole is judged.
 */
#include "forms/internal.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"

enum { URL_MAX = 2048, HOST_MAX = 253 };

/* A piece of the text that was taken apart. */
typedef struct Piece {
    const char *text;
    size_t len;
} Piece;

typedef struct Url {
    Piece scheme, netloc, path, query, fragment;
} Url;

static bool starts_with(Piece piece, const char *text)
{
    size_t len = strlen(text);
    return piece.len >= len && memcmp(piece.text, text, len) == 0;
}

static Piece after(Piece piece, size_t count)
{
    return (Piece){piece.text + count, piece.len - count};
}

/* Offset of the first of these characters, or the length. */
static size_t find_any(Piece piece, const char *chars)
{
    size_t i = 0;
    while (i < piece.len && (piece.text[i] == '\0' || strchr(chars, piece.text[i]) == NULL))
        i++;
    return i;
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_scheme_char(char c)
{
    return is_ascii_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

static Piece host_of(Piece netloc)
{
    const char *at = memrchr(netloc.text, '@', netloc.len);
    if (at != NULL)
        netloc = after(netloc, (size_t)(at - netloc.text) + 1);
    if (netloc.len > 0 && netloc.text[0] == '[') {
        netloc = after(netloc, 1);
        netloc.len = find_any(netloc, "]");
    } else {
        netloc.len = find_any(netloc, ":");
    }
    return netloc;
}

/* Brackets stand around an IPv6 address in front of the port, "[::1]:80"; anything else with one is no URL. */
static bool brackets_fit(Piece netloc)
{
    uint8_t address[16];
    bool open = memchr(netloc.text, '[', netloc.len) != NULL,
         close = memchr(netloc.text, ']', netloc.len) != NULL;
    if (!open && !close)
        return true;
    Piece host = host_of(netloc);
    const char *end = netloc.text + netloc.len, *behind = host.text + host.len;
    if (!open || !close || !flow_ip__v6(host.text, host.len, address))
        return false;
    /* host_of() stopped at the bracket or at the port. */
    return behind == end || *behind == ':' || behind + 1 == end || behind[1] == ':';
}

/* Characters that would become one of /?#@: when a reader normalises the host. */
static bool hides_a_delimiter(Piece netloc)
{
    static const uint32_t hiding[] = {0x2047, 0x2048, 0x2049, 0x2100, 0x2101, 0x2105, 0x2106,
                                      0x2a74, 0xfe13, 0xfe16, 0xfe55, 0xfe56, 0xfe5f, 0xfe6b,
                                      0xff03, 0xff0f, 0xff1a, 0xff1f, 0xff20};
    size_t size;
    for (size_t i = 0; i < netloc.len; i += size) {
        uint32_t c = flow_utf8_decode(netloc.text + i, netloc.len - i, &size);
        for (size_t k = 0; c >= 0x80 && k < FLOW_COUNT(hiding); k++)
            if (c == hiding[k])
                return true;
    }
    return false;
}

/* Takes `text` (without tabs and newlines) apart. The pieces point into it. */
static bool split(Piece text, Url *url)
{
    const Piece none = {text.text, 0};
    *url = (Url){none, none, none, none, none};
    while (text.len > 0 && (unsigned char)text.text[0] <= ' ')
        text = after(text, 1);
    size_t colon = find_any(text, ":"), i = 0;
    while (i < colon && is_scheme_char(text.text[i]))
        i++;
    if (colon > 0 && colon < text.len && i == colon && is_ascii_letter(text.text[0])) {
        url->scheme = (Piece){text.text, colon};
        text = after(text, colon + 1);
    }
    if (starts_with(text, "//")) {
        text = after(text, 2);
        url->netloc = (Piece){text.text, find_any(text, "/?#")};
        text = after(text, url->netloc.len);
    }
    size_t hash = find_any(text, "#");
    if (hash < text.len)
        url->fragment = after(text, hash + 1);
    text.len = hash;
    size_t question = find_any(text, "?");
    if (question < text.len)
        url->query = after(text, question + 1);
    text.len = question;
    url->path = text;
    return brackets_fit(url->netloc) && !hides_a_delimiter(url->netloc);
}

/* Schemes whose URLs have a host even when it is empty. */
static bool has_host(Piece scheme)
{
    static const char *const schemes[] = {"ftp",      "http", "gopher", "nntp",    "telnet", "imap",
                                          "wais",     "file", "mms",    "https",   "shttp",  "snews",
                                          "prospero", "rtsp", "rtspu",  "rsync",   "svn",    "svn+ssh",
                                          "sftp",     "nfs",  "git",    "git+ssh", "ws",     "wss"};
    for (size_t i = 0; i < FLOW_COUNT(schemes); i++)
        if (scheme.len == strlen(schemes[i]) && strncasecmp(scheme.text, schemes[i], scheme.len) == 0)
            return true;
    return false;
}

/* The scheme in lower case. */
static void join(const Url *url, FlowBuf *to)
{
    if (url->scheme.len > 0) {
        for (size_t i = 0; i < url->scheme.len; i++) {
            char c = url->scheme.text[i];
            flow_buf_byte(to, (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
        }
        flow_buf_byte(to, ':');
    }
    if (url->netloc.len > 0 || (has_host(url->scheme) && !starts_with(url->path, "//"))) {
        flow_buf_str(to, "//");
        flow_buf_append(to, url->netloc.text, url->netloc.len);
        if (url->path.len > 0 && url->path.text[0] != '/')
            flow_buf_byte(to, '/');
    }
    flow_buf_append(to, url->path.text, url->path.len);
    if (url->query.len > 0) {
        flow_buf_byte(to, '?');
        flow_buf_append(to, url->query.text, url->query.len);
    }
    if (url->fragment.len > 0) {
        flow_buf_byte(to, '#');
        flow_buf_append(to, url->fragment.text, url->fragment.len);
    }
}

/* The value without tabs, newlines and carriage returns, which browsers ignore as well. */
static void append_safe(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
            flow_buf_byte(to, text[i]);
}

static Piece whole(const FlowBuf *buf)
{
    return (Piece){buf->data != NULL ? buf->data : "", buf->len};
}

static bool normalise(const char *text, size_t len, FlowBuf *to)
{
    Url url, again;
    FlowBuf safe, joined;
    flow_buf_init(&safe, 0);
    flow_buf_init(&joined, 0);
    append_safe(&safe, text, len);
    bool ok = split(whole(&safe), &url);
    if (ok && url.scheme.len == 0)
        url.scheme = (Piece){"http", 4};
    if (ok && url.netloc.len == 0) {
        url.netloc = url.path;
        url.path.len = 0;
        join(&url, &joined);
        ok = split(whole(&joined), &again);
        if (ok)
            join(&again, to);
    } else if (ok) {
        join(&url, to);
    }
    flow_buf_done(&safe);
    flow_buf_done(&joined);
    return ok && !to->failed;
}

static bool convert_url(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    FlowValue text;
    FlowBuf buf;
    if (!flow_field__convert_text(cleaning, raw, &text))
        return false;
    if (flow_value__is_empty(text)) {
        *ret_value = text;
        return true;
    }
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE / 2);
    bool ok = normalise(flow_value_text(&text), flow_value_length(&text), &buf)
                  ? flow_cleaning__string(cleaning, buf.data, buf.len, ret_value)
                  : flow_cleaning__fail(cleaning, FLOW_MESSAGE_URL, NULL);
    flow_buf_done(&buf);
    flow_value_unref(text);
    return ok;
}

/* "user:password@" in front of the host: the length with its @, 0 where there is none. */
static size_t credentials(Piece rest)
{
    size_t at = find_any(rest, "@"), size;
    bool colon = false;
    if (at == 0 || at == rest.len)
        return 0;
    for (size_t i = 0; i < at; i += size) {
        uint32_t c = flow_utf8_decode(rest.text + i, at - i, &size);
        if (flow_py__is_space(c) || c == '/' || (c == ':' && (colon || i == 0)))
            return 0;
        colon = colon || c == ':';
    }
    return at + 1;
}

/* A dotted IPv4 address as URLs have it: no leading zeros. */
static bool is_v4(Piece host)
{
    uint8_t address[4];
    return flow_ip__v4(host.text, host.len, address);
}

static bool host_and_rest_fit(Piece rest)
{
    Piece host = rest;
    if (rest.len > 0 && rest.text[0] == '[') {
        host.len = find_any(rest, "]");
        if (host.len == rest.len)
            return false;
        host.len++;
        for (size_t i = 1; i + 1 < host.len; i++)
            if (memchr("0123456789abcdefABCDEF:.", host.text[i], 24) == NULL)
                return false;
    } else {
        host.len = find_any(rest, ":/?#");
        if (!is_v4(host) && !flow_host__url_host(host.text, host.len))
            return false;
    }
    rest = after(rest, host.len);
    if (rest.len > 0 && rest.text[0] == ':') {
        size_t digits = 1;
        while (digits < rest.len && rest.text[digits] >= '0' && rest.text[digits] <= '9')
            digits++;
        if (digits < 3 || digits > 6)
            return false;
        rest = after(rest, digits);
    }
    if (rest.len > 0 && memchr("/?#", rest.text[0], 3) == NULL)
        return false;
    size_t size;
    for (size_t i = 0; i < rest.len; i += size)
        if (flow_py__is_space(flow_utf8_decode(rest.text + i, rest.len - i, &size)))
            return false;
    return true;
}

static bool scheme_fits(Piece url, size_t *ret_len)
{
    static const char *const schemes[] = {"http", "https", "ftp", "ftps"};
    for (size_t i = 0; i < FLOW_COUNT(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (url.len > len + 2 && strncasecmp(url.text, schemes[i], len) == 0 &&
            memcmp(url.text + len, "://", 3) == 0) {
            *ret_len = len + 3;
            return true;
        }
    }
    return false;
}

/* The grammar: behind the scheme, with or without credentials. An @ may also stand in the path. */
static bool rest_fits(Piece rest)
{
    size_t user = credentials(rest);
    return (user > 0 && host_and_rest_fit(after(rest, user))) || host_and_rest_fit(rest);
}

static bool is_url(const char *text, size_t len)
{
    Piece url = {text, len};
    Url parts;
    size_t scheme;
    if (flow_utf8_count(text, len) > URL_MAX || find_any(url, "\t\r\n") < len || !scheme_fits(url, &scheme) ||
        !split(url, &parts))
        return false;
    if (!rest_fits(after(url, scheme))) {
        /* Names in other scripts are judged by their ASCII form. */
        FlowBuf ascii, again;
        Url translated = parts;
        flow_buf_init(&ascii, 2 * URL_MAX);
        flow_buf_init(&again, 0);
        bool ok = flow_host__to_ascii(parts.netloc.text, parts.netloc.len, &ascii) && !ascii.failed;
        translated.netloc = whole(&ascii);
        join(&translated, &again);
        ok = ok && scheme_fits(whole(&again), &scheme) && rest_fits(after(whole(&again), scheme));
        flow_buf_done(&ascii);
        flow_buf_done(&again);
        if (!ok)
            return false;
    }
    Piece host = host_of(parts.netloc);
    size_t host_len = flow_utf8_count(host.text, host.len);
    return host_len > 0 && host_len <= HOST_MAX;
}

static void check_url(FlowCleaning *cleaning, FlowValue value)
{
    if (!is_url(flow_value_text(&value), flow_value_length(&value)))
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_URL, &(FlowMessageArgs){.value = value});
    flow_field__check_lengths(cleaning, value);
    flow_field__check_nul(cleaning, value);
}

const FlowFieldOps flow_field__url = {
    .name = "URLField",
    .widget = FLOW_WIDGET_URL,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_EMPTY_VALUE,
    .convert = convert_url,
    .check = check_url,
};
