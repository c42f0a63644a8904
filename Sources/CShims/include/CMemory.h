// The C library's search in memory, which its headers show to GNU programs only.
#ifndef APUS_CMEMORY_H
#define APUS_CMEMORY_H

#include <stddef.h>

// memmem: where `needle` begins in `text` for the first time, or NULL. Linear in both.
const void *apus_memory_find(const void *text, size_t count, const void *needle, size_t needle_count);

#endif
