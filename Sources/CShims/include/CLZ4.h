// lz4, for blocks sent to a lagging peer.
#ifndef APUS_CLZ4_H
#define APUS_CLZ4_H

#include <lz4.h>

#endif
