/*
 * fingerprint.h - one short name for all failures with the same cause: reason, node, and the message without what
 * differs from payload to payload. Stored: the same input gives the same text in every release.
 */
#ifndef FLOW_ENGINE_FINGERPRINT_H
#define FLOW_ENGINE_FINGERPRINT_H

#include "base/buf.h"

enum { FLOW_FINGERPRINT_TEXT = 17 }; /* 16 hexadecimal digits and the NUL */

void flow_fingerprint(const char *reason, const char *workflow_id, const char *node_id, const char *message,
                      char to[FLOW_FINGERPRINT_TEXT]);

/*
 * Appends the message with its variable parts taken out: words with a digit in them become `#`, as do quoted texts that
 * don't read like a name (letters, `_`, `.`, `-` and single spaces, at most 40), addresses of the web and of mail.
 * Runs of white space become one space.
 */
void flow_fingerprint_normalise(const char *message, FlowBuf *to);

#endif
