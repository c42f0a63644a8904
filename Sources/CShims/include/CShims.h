// C helpers for what Swift cannot express: static inline functions, variadics and macros. No policy. One
// header per library.
#ifndef APUS_CSHIMS_H
#define APUS_CSHIMS_H
#include "CArgp.h"
#include "CBeast.h"
#include "CCRC32C.h"
#include "CCrypto.h"
#include "CCSV.h"
#include "CDemangle.h"
#include "CDescriptors.h"
#include "CJournal.h"
#include "CLZ4.h"
#include "CMemory.h"
#include "COpenSSL.h"
#include "CProbes.h"
#include "CSQLite.h"
#include "CSQLiteHeap.h"
#include "CSandbox.h"
#include "CSecp256k1.h"
#include "CSignal.h"
#include "CSimdjson.h"
#include "CSocket.h"
#include "CSodium.h"
#include "CSpawn.h"
#include "CTOML.h"
#include "CThread.h"
#include "CURing.h"
#endif
