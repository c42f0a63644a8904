// simdjson: reads JSON.
#ifndef APUS_CSIMDJSON_H
#define APUS_CSIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A document as simdjson leaves it: `words` words of tape (its doc/tape.md describes them), and the texts that the
/// tape refers to by offset, each a length of four bytes, its bytes, and a zero.
struct apus_json {
    const uint64_t *tape;
    size_t words;
    const uint8_t *texts;
};

static const int32_t apus_json_ok = 0;
/// Not JSON.
static const int32_t apus_json_refused = 1;
/// More than `max_depth` arrays and objects around one value or empty array.
static const int32_t apus_json_too_deep = 2;
/// Longer than simdjson reads: 4 GB.
static const int32_t apus_json_too_large = 3;
static const int32_t apus_json_no_memory = 4;

/// Reads `count` bytes with the calling thread's parser. What `into` then points to is the parser's, until
/// `apus_json_done` or the thread's next `apus_json_parse`.
int32_t apus_json_parse(const void *bytes, size_t count, size_t max_depth, struct apus_json *into);

/// Done with what the thread's last `apus_json_parse` yielded. Wipes the parser's memory if asked to; gives back
/// what is too large to keep.
void apus_json_done(bool wipe);

#ifdef __cplusplus
}
#endif

#endif
