// The processor's CRC-32C instruction, which Swift cannot express. `Storage` has the table-driven form.
#ifndef APUS_CCRC32C_H
#define APUS_CCRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Returns whether the processor has the instruction (SSE 4.2).
bool apus_crc32c_available(void);

/// Returns `state` (the inverted CRC) after `count` more bytes. Call only where the instruction is available.
uint32_t apus_crc32c_update(uint32_t state, const void *bytes, size_t count);

#endif
