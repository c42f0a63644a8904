#define _GNU_SOURCE
#include "CMemory.h"

#include <string.h>

const void *apus_memory_find(const void *text, size_t count, const void *needle, size_t needle_count) {
    return memmem(text, count, needle, needle_count);
}
