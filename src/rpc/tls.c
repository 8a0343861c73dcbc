#include "rpc/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"

enum { PEM_MAX = 1 << 20 };

static FlowStatus refuse(FlowError *reterr, const char *path, const char *what)
{
    ERR_clear_error();
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", path, "TLS file \"%s\": %s", path,
                          what);
}

static FlowStatus read_file(const char *path, char **ret_text, FlowError *reterr)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return refuse(reterr, path, strerror(errno));
    char *text = flow_malloc(PEM_MAX + 1);
    size_t len = fread(text, 1, PEM_MAX + 1, file);
    fclose(file);
    if (len > PEM_MAX || memchr(text, 0, len) != NULL) {
        free(text);
        return refuse(reterr, path, "it is no PEM file");
    }
    text[len] = '\0';
    *ret_text = text;
    return FLOW_OK;
}

static X509 *read_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static FlowStatus check_pair(const FlowTlsFiles *files, const FlowTlsMaterial *material, X509 *certificate,
                             FlowError *reterr)
{
    if (certificate == NULL)
        return refuse(reterr, files->cert, "there is no PEM certificate in it");
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return refuse(reterr, files->cert, "the certificate has expired");
    BIO *bio = BIO_new_mem_buf(material->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    BIO_free(bio);
    if (key == NULL)
        return refuse(reterr, files->key, "there is no PEM private key in it (or it has a passphrase)");
    bool pair = X509_check_private_key(certificate, key) == 1;
    EVP_PKEY_free(key);
    return pair ? FLOW_OK : refuse(reterr, files->key, "the key does not belong to the certificate");
}

static FlowStatus check(const FlowTlsFiles *files, const FlowTlsMaterial *material, FlowError *reterr)
{
    X509 *certificate = read_certificate(material->cert);
    FlowStatus status = check_pair(files, material, certificate, reterr);
    X509_free(certificate);
    if (status != FLOW_OK || material->client_ca == NULL)
        return status;
    X509 *ca = read_certificate(material->client_ca);
    bool found = ca != NULL;
    X509_free(ca);
    return found ? FLOW_OK : refuse(reterr, files->client_ca, "there is no PEM certificate in it");
}

FlowStatus flow_tls_load(const FlowTlsFiles *files, FlowTlsMaterial **ret_material, FlowError *reterr)
{
    FlowTlsMaterial *material = flow_new(FlowTlsMaterial);
    FlowStatus status = read_file(files->cert, &material->cert, reterr);
    if (status == FLOW_OK)
        status = read_file(files->key, &material->key, reterr);
    if (status == FLOW_OK && files->client_ca != NULL)
        status = read_file(files->client_ca, &material->client_ca, reterr);
    if (status == FLOW_OK)
        status = check(files, material, reterr);
    if (status == FLOW_OK)
        *ret_material = material;
    else
        flow_tls_free(material);
    return status;
}

FlowTlsMaterial *flow_tls_free(FlowTlsMaterial *material)
{
    if (material == NULL)
        return NULL;
    if (material->key != NULL)
        explicit_bzero(material->key, strlen(material->key));
    free(material->cert);
    free(material->key);
    free(material->client_ca);
    free(material);
    return NULL;
}

unsigned long long flow_tls_stamp(const FlowTlsFiles *files)
{
    const char *paths[] = {files->cert, files->key, files->client_ca};
    struct {
        struct timespec changed;
        ino_t inode;
        off_t size;
    } seen[3];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < FLOW_COUNT(paths); i++) {
        struct stat status;
        if (paths[i] == NULL)
            continue;
        if (stat(paths[i], &status) != 0)
            return 0;
        seen[i].changed = status.st_mtim;
        seen[i].inode = status.st_ino;
        seen[i].size = status.st_size;
    }
    return flow_hash_bytes(seen, sizeof seen) | 1;
}
