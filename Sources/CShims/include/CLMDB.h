// LMDB, for the block indexes.
#ifndef APUS_CLMDB_H
#define APUS_CLMDB_H

#include <lmdb.h>

#endif
