// simdjson, which parses JSON.
#ifndef APUS_CSIMDJSON_H
#define APUS_CSIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A document as parsed by simdjson: `words` words of tape (see its doc/tape.md), and the strings to which
/// the tape refers by offset, each a four-byte length, its bytes and a zero.
struct apus_json {
    const uint64_t *tape;
    size_t words;
    const uint8_t *texts;
};

static const int32_t apus_json_ok = 0;
/// Not JSON.
static const int32_t apus_json_refused = 1;
/// Nested deeper than `max_depth`.
static const int32_t apus_json_too_deep = 2;
/// Longer than simdjson's limit of 4 GB.
static const int32_t apus_json_too_large = 3;
static const int32_t apus_json_no_memory = 4;

/// Parses `count` bytes with the calling thread's parser. The memory that `into` points to belongs to the
/// parser until `apus_json_done` or the thread's next `apus_json_parse`.
int32_t apus_json_parse(const void *bytes, size_t count, size_t max_depth, struct apus_json *into);

/// Releases the result of the thread's last `apus_json_parse`. Wipes the parser's memory if `wipe` is set,
/// and frees memory too large to keep.
void apus_json_done(bool wipe);

#ifdef __cplusplus
}
#endif

#endif
