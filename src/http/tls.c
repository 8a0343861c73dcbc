/*
 * tls.c - TLS for the HTTP door: OpenSSL between the socket's bytes and HTTP's, by way of two memory buffers. Changed
 * certificate files are taken for new connections.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"

enum { LOOK_EVERY_MS = 1000, PIECE = 16384 };

struct FlowHttpCertificates {
    char *cert, *key, *client_ca; /* paths */
    SSL_CTX *context;
    unsigned long long stamp;
    int64_t looked_ns;
};

struct FlowHttpTls {
    SSL *ssl;
    BIO *in, *out;
    FlowHttpConnection *connection;
};

static FlowTlsFiles files_of(const FlowHttpCertificates *self)
{
    return (FlowTlsFiles){self->cert, self->key, self->client_ca};
}

static bool use_chain(SSL_CTX *context, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *first = PEM_read_bio_X509(bio, NULL, NULL, NULL), *more;
    bool ok = first != NULL && SSL_CTX_use_certificate(context, first) == 1;
    while (ok && (more = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        ok = SSL_CTX_add0_chain_cert(context, more) == 1;
    ERR_clear_error();
    X509_free(first);
    BIO_free(bio);
    return ok;
}

static bool use_key(SSL_CTX *context, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool ok =
        key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static void use_client_ca(SSL_CTX *context, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    for (X509 *ca; (ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(ca)) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
        SSL_CTX_add_client_CA(context, ca);
    }
    ERR_clear_error();
    BIO_free(bio);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

/* HTTP/2 isn't spoken here: a client that offers it gets the other. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                           const unsigned char *offered, unsigned len, void *data)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)data;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof ours - 1, offered, len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static FlowStatus load(FlowHttpCertificates *self, SSL_CTX **ret_context, FlowError *reterr)
{
    FlowTlsFiles files = files_of(self);
    FlowTlsMaterial *material;
    FlowStatus status = flow_tls_load(&files, &material, reterr);
    if (status != FLOW_OK)
        return status;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool ok = context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
              use_chain(context, material->cert) && use_key(context, material->key);
    if (ok) {
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_session_id_context(context, (const unsigned char *)"flowd", 5);
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
        if (material->client_ca != NULL)
            use_client_ca(context, material->client_ca);
        *ret_context = context;
    } else {
        SSL_CTX_free(context);
        ERR_clear_error();
        status = flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, "tls-cert",
                                "TLS can't use \"%s\" with \"%s\"", self->cert, self->key);
    }
    flow_tls_free(material);
    return status;
}

FlowStatus flow_http__certificates_new(const FlowTlsFiles *files, FlowHttpCertificates **ret,
                                       FlowError *reterr)
{
    FlowHttpCertificates *self = flow_new(FlowHttpCertificates);
    self->cert = flow_strdup(files->cert);
    self->key = flow_strdup(files->key != NULL ? files->key : "");
    self->client_ca = files->client_ca != NULL ? flow_strdup(files->client_ca) : NULL;
    FlowTlsFiles own = *files;
    self->stamp = flow_tls_stamp(&own);
    FlowStatus status = load(self, &self->context, reterr);
    if (status != FLOW_OK)
        flow_http__certificates_free(self);
    else
        *ret = self;
    return status;
}

FlowHttpCertificates *flow_http__certificates_free(FlowHttpCertificates *self)
{
    if (self == NULL)
        return NULL;
    SSL_CTX_free(self->context);
    free(self->cert);
    free(self->key);
    free(self->client_ca);
    free(self);
    return NULL;
}

static void refresh(FlowHttpCertificates *self)
{
    int64_t now = flow_clock_mono_ns(flow_clock_real());
    if (now - self->looked_ns < LOOK_EVERY_MS * FLOW_NS_PER_MS)
        return;
    self->looked_ns = now;
    FlowTlsFiles files = files_of(self);
    unsigned long long stamp = flow_tls_stamp(&files);
    SSL_CTX *context;
    FlowError error;
    if (stamp == self->stamp || stamp == 0)
        return;
    self->stamp = stamp;
    if (load(self, &context, &error) == FLOW_OK) {
        SSL_CTX_free(self->context); /* connections hold it too */
        self->context = context;
    } else {
        flow_log_error(FLOW_LOG_ERROR, "the changed certificate can't be used; the old one stays", &error);
    }
}

/* ---- one connection ---- */

FlowHttpTls *flow_http__tls_new(FlowHttpCertificates *certificates, FlowHttpConnection *connection)
{
    refresh(certificates);
    FlowHttpTls *self = flow_new(FlowHttpTls);
    self->connection = connection;
    self->ssl = SSL_new(certificates->context);
    self->in = BIO_new(BIO_s_mem());
    self->out = BIO_new(BIO_s_mem());
    if (self->ssl == NULL || self->in == NULL || self->out == NULL) {
        SSL_free(self->ssl);
        BIO_free(self->in);
        BIO_free(self->out);
        free(self);
        return NULL;
    }
    SSL_set_bio(self->ssl, self->in, self->out);
    SSL_set_accept_state(self->ssl);
    return self;
}

FlowHttpTls *flow_http__tls_free(FlowHttpTls *tls)
{
    if (tls == NULL)
        return NULL;
    SSL_free(tls->ssl);
    free(tls);
    return NULL;
}

static void drain(FlowHttpTls *self)
{
    char *bytes;
    long len = BIO_get_mem_data(self->out, &bytes);
    if (len > 0)
        flow_http__out(self->connection, bytes, (size_t)len);
    (void)BIO_reset(self->out);
}

void flow_http__tls_in(FlowHttpTls *self, const char *bytes, size_t len)
{
    char piece[PIECE];
    if (BIO_write(self->in, bytes, (int)len) != (int)len) {
        flow_http__close(self->connection);
        return;
    }
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(self->ssl, piece, sizeof piece);
        if (got > 0) {
            flow_http__in(self->connection, piece, (size_t)got);
            continue;
        }
        int why = SSL_get_error(self->ssl, got);
        drain(self);
        flow_http__push(self->connection);
        if (why != SSL_ERROR_WANT_READ)
            flow_http__close(self->connection);
        return;
    }
}

void flow_http__tls_out(FlowHttpTls *self, const void *bytes, size_t len)
{
    ERR_clear_error();
    for (const char *at = bytes; len > 0;) {
        int took = SSL_write(self->ssl, at, len < 1 << 20 ? (int)len : 1 << 20);
        if (took <= 0) {
            flow_http__close(self->connection);
            return;
        }
        at += took;
        len -= (size_t)took;
    }
    drain(self);
}

void flow_http__tls_bye(FlowHttpTls *self)
{
    ERR_clear_error();
    (void)SSL_shutdown(self->ssl);
    drain(self);
}

void flow_http__tls_identity(const FlowHttpTls *tls, char *to, size_t size)
{
    X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
    *to = '\0';
    if (certificate != NULL && SSL_get_verify_result(tls->ssl) == X509_V_OK &&
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, to, (int)size) < 0)
        *to = '\0';
    X509_free(certificate);
}
