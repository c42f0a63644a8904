#include "COpenSSL.h"

#include <openssl/crypto.h>
#include <pthread.h>

static EVP_MD *sha256;
static pthread_key_t context_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MD_CTX *context;

static void free_context(void *value) { EVP_MD_CTX_free(value); }

// Starts libcrypto, if it has not started, without the system's configuration file, which says which providers offer an
// algorithm: the protocols leave no choice, and reading it takes longer than everything else here.
static void start_library(void) { OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); }

static void set_up(void) {
    start_library();
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (pthread_key_create(&context_key, free_context) != 0) sha256 = NULL;
}

EVP_MD_CTX *apus_sha256_new(void) {
    pthread_once(&once, set_up);
    if (!sha256) return NULL;
    EVP_MD_CTX *made = EVP_MD_CTX_new();
    if (made && EVP_DigestInit_ex2(made, sha256, NULL) != 1) {
        EVP_MD_CTX_free(made);
        return NULL;
    }
    return made;
}

bool apus_sha256(const void *bytes, size_t count, uint8_t digest[32]) {
    if (!context) {
        context = apus_sha256_new();
        if (!context) return false;
        pthread_setspecific(context_key, context);
    } else if (EVP_DigestInit_ex2(context, NULL, NULL) != 1) {
        return false;
    }
    return EVP_DigestUpdate(context, bytes, count) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1;
}

EVP_CIPHER *apus_chacha20_poly1305(void) {
    start_library();
    return EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}
