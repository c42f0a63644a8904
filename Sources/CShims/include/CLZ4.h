// lz4, for blocks on their way to a peer that is behind.
#ifndef APUS_CLZ4_H
#define APUS_CLZ4_H

#include <lz4.h>

#endif
