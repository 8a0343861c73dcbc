/*
 * tls.h - certificate, key and client CA of a door, read from PEM files, checked, and read again when the files
 * change.
 */
#ifndef FLOW_RPC_TLS_H
#define FLOW_RPC_TLS_H

#include <stdbool.h>

#include "base/status.h"

typedef struct FlowTlsFiles {
    const char *cert; /* certificate chain; NULL: no TLS */
    const char *key;
    const char *client_ca; /* clients must show a certificate signed by one of these; NULL: they needn't */
} FlowTlsFiles;

/* The contents, NUL-terminated PEM texts. Immutable. */
typedef struct FlowTlsMaterial {
    char *cert, *key, *client_ca; /* client_ca may be NULL */
} FlowTlsMaterial;

/* INVALID_ARGUMENT names the file and what is wrong with it: unreadable, not PEM, expired, key and certificate
 * don't belong together. */
FlowStatus flow_tls_load(const FlowTlsFiles *files, FlowTlsMaterial **ret_material, FlowError *reterr);
FlowTlsMaterial *flow_tls_free(FlowTlsMaterial *material); /* always NULL */

/* When the files were last changed, as one number that differs after every change; 0 when one can't be seen. */
unsigned long long flow_tls_stamp(const FlowTlsFiles *files);

#endif
