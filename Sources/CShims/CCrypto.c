#include "CCrypto.h"

#include <stddef.h>

__attribute__((weak)) void *apus_crypto_suite(void) { return NULL; }
