// libsecp256k1 with its recovery module.
#ifndef APUS_CSECP256K1_H
#define APUS_CSECP256K1_H
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#endif
