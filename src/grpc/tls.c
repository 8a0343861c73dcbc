#include <grpc/grpc_security.h>
#include <stdlib.h>

#include "base/mem.h"
#include "grpc/internal.h"

struct FlowGrpcTls {
    FlowTlsFiles files; /* the paths are copies */
    pthread_mutex_t lock;
    unsigned long long stamp; /* of the files that are in use or were last refused */
    FlowTlsMaterial *fresh;   /* loaded, but not given to the core yet */
};

/* Called by the core for every new connection, under its own lock. */
static grpc_ssl_certificate_config_reload_status fetch(void *data,
                                                       grpc_ssl_server_certificate_config **ret_config)
{
    FlowGrpcTls *self = data;
    pthread_mutex_lock(&self->lock);
    unsigned long long stamp = flow_tls_stamp(&self->files);
    FlowTlsMaterial *material = flow_steal(self->fresh);
    if (material == NULL && stamp != self->stamp) {
        FlowError error;
        self->stamp = stamp;
        /* In the middle of a renewal key and certificate don't fit: the old ones stay until they do. */
        if (flow_tls_load(&self->files, &material, &error) == FLOW_OK)
            flow_log(FLOW_LOG_INFO, "TLS files have changed: new connections use them",
                     FLOW_F_STR("cert", self->files.cert));
        else
            flow_log_error(FLOW_LOG_WARNING, "TLS files have changed, but can't be used: the old ones stay",
                           &error);
    }
    pthread_mutex_unlock(&self->lock);
    if (material == NULL)
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    grpc_ssl_pem_key_cert_pair pair = {material->key, material->cert};
    /* The core insists on roots even where no client shows a certificate; then they mean nothing. */
    const char *roots = material->client_ca != NULL ? material->client_ca : material->cert;
    *ret_config = grpc_ssl_server_certificate_config_create(roots, &pair, 1);
    flow_tls_free(material);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

FlowStatus flow_grpc__tls_new(const FlowTlsFiles *files, FlowGrpcTls **ret_tls,
                              grpc_server_credentials **ret_credentials, FlowError *reterr)
{
    unsigned long long stamp = flow_tls_stamp(files);
    FlowTlsMaterial *material;
    FlowStatus status = flow_tls_load(files, &material, reterr);
    if (status != FLOW_OK)
        return status;
    FlowGrpcTls *self = flow_new(FlowGrpcTls);
    pthread_mutex_init(&self->lock, NULL);
    self->files.cert = flow_strdup(files->cert);
    self->files.key = flow_strdup(files->key);
    self->files.client_ca = flow_strdup(files->client_ca);
    self->stamp = stamp;
    self->fresh = material;
    grpc_ssl_client_certificate_request_type clients =
        files->client_ca != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                 : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    *ret_credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(clients, fetch, self));
    *ret_tls = self;
    return FLOW_OK;
}

FlowGrpcTls *flow_grpc__tls_free(FlowGrpcTls *tls)
{
    if (tls == NULL)
        return NULL;
    flow_tls_free(tls->fresh);
    free((char *)tls->files.cert);
    free((char *)tls->files.key);
    free((char *)tls->files.client_ca);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
    return NULL;
}
