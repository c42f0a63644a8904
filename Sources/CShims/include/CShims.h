// C helpers that Swift cannot say itself: static inline functions, variadics and macros. No policy.
// One header a library.
#ifndef APUS_CSHIMS_H
#define APUS_CSHIMS_H
#include "CCRC32C.h"
#include "CLMDB.h"
#include "CLZ4.h"
#include "COpenSSL.h"
#include "CSQLite.h"
#include "CSecp256k1.h"
#include "CSodium.h"
#include "CThread.h"
#include "CURing.h"
#endif
