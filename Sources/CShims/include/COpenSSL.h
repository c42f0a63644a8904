// libcrypto: ChaCha20-Poly1305 and SHA-256.
#ifndef APUS_COPENSSL_H
#define APUS_COPENSSL_H
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Computes the SHA-256 of contiguous memory with a context kept per thread: creating one costs as much as
// hashing a kilobyte. Returns false only if out of memory.
bool apus_sha256(const void *bytes, size_t count, uint8_t digest[32]);

// Returns a new SHA-256 context, or NULL if out of memory. Free it with EVP_MD_CTX_free.
EVP_MD_CTX *apus_sha256_new(void);

// Returns a new reference to the implementation of ChaCha20-Poly1305, or NULL if out of memory.
EVP_CIPHER *apus_chacha20_poly1305(void);
#endif
