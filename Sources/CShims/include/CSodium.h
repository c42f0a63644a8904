// libsodium: Ed25519, X25519, HMAC, random bytes, secret memory.
#ifndef APUS_CSODIUM_H
#define APUS_CSODIUM_H
#include <sodium.h>
#endif
