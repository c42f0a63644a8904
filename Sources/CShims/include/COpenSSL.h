// libcrypto: ChaCha20-Poly1305 and SHA-256.
#ifndef APUS_COPENSSL_H
#define APUS_COPENSSL_H
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// SHA-256 of one piece of memory, with a context kept for each thread: making one costs as much as hashing
// a kilobyte. False only if memory ran out.
bool apus_sha256(const void *bytes, size_t count, uint8_t digest[32]);

// A new SHA-256 context at its start, or null if memory ran out. Freed with EVP_MD_CTX_free.
EVP_MD_CTX *apus_sha256_new(void);
#endif
