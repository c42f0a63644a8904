// The C library's memory search, which its headers declare for GNU programs only.
#ifndef APUS_CMEMORY_H
#define APUS_CMEMORY_H

#include <stddef.h>

// Returns the first occurrence of `needle` in `text`, or NULL (memmem). Linear in both.
const void *apus_memory_find(const void *text, size_t count, const void *needle, size_t needle_count);

#endif
