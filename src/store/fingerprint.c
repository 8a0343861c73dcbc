/*
 * fingerprint.c - which dead letters have the same cause.
 *
 * What varies from unit to unit is taken out of the message: words with a digit in them (numbers, ids, times,
 * addresses) become '#', quoted texts become '"…"'. The rest, with reason, workflow and node, is hashed with a
 * fixed key: a fingerprint is stored, so it must stay the same from one start to the next.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/hash.h"
#include "store/store.h"

static bool word_byte(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.' || c == ':' || c == '/' || c == '@' || c == '%' || c >= 0x80;
}

static const char *closing_quote(const char *open)
{
    /* An apostrophe within a word ("can't") opens nothing; a quote that is never closed neither. */
    for (const char *p = open + 1; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == *open && !word_byte((unsigned char)p[1]))
            return p;
    }
    return NULL;
}

static void append_plain(FlowBuf *to, const char *message)
{
    bool in_word = false;
    for (const char *p = message; *p != '\0';) {
        const char *close;
        if ((*p == '"' || (*p == '\'' && !in_word)) && (close = closing_quote(p)) != NULL) {
            flow_buf_str(to, "\"\"");
            p = close + 1;
            in_word = false;
            continue;
        }
        size_t len = 0;
        bool digits = false;
        while (word_byte((unsigned char)p[len])) {
            digits |= p[len] >= '0' && p[len] <= '9';
            len++;
        }
        in_word = len != 0;
        if (digits)
            flow_buf_byte(to, '#');
        else
            flow_buf_append(to, p, len != 0 ? len : 1);
        p += len != 0 ? len : 1;
    }
}

void flow_dead_letter_fingerprint(const char *reason, const char *workflow_id, const char *node_id,
                                  const char *message, char ret_fingerprint[FLOW_FINGERPRINT_TEXT])
{
    static const uint64_t key[2] = {UINT64_C(0x666c6f77656e6769), UINT64_C(0x6465616c65747465)};
    FlowBuf buf;
    flow_buf_init(&buf, 64 * 1024); /* what a longer message says at its end tells no causes apart */
    flow_buf_printf(&buf, "%s%c%s%c%s%c", reason != NULL ? reason : "", 0,
                    workflow_id != NULL ? workflow_id : "", 0, node_id != NULL ? node_id : "", 0);
    append_plain(&buf, message != NULL ? message : "");
    snprintf(ret_fingerprint, FLOW_FINGERPRINT_TEXT, "%016llx",
             (unsigned long long)flow_siphash(buf.data, buf.len, key));
    flow_buf_done(&buf);
}
