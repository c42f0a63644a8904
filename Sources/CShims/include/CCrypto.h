// The cryptography that a program is linked with.
#ifndef APUS_CCRYPTO_H
#define APUS_CCRYPTO_H

// The `CryptoSuite` that takes the place of the libraries' for the whole process, or NULL for none. Defined weakly, with
// NULL: a program that wants another suite links its own definition.
void *apus_crypto_suite(void);

#endif
