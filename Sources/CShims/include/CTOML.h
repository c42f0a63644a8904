// toml++: reads TOML 1.0.
#ifndef APUS_CTOML_H
#define APUS_CTOML_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Tables and arrays within one value, and parts of one dotted key, at most. The library's own limit is 256 for the
/// former; it has none for the latter, and a key of half a million parts ends the process.
static const unsigned apus_toml_depth = 32;

/// A parsed document; immutable, for any thread.
struct apus_toml;

enum apus_toml_kind {
    APUS_TOML_TABLE,
    APUS_TOML_ARRAY,
    APUS_TOML_STRING,
    APUS_TOML_INTEGER,
    APUS_TOML_BOOLEAN,
    APUS_TOML_FLOAT,
    APUS_TOML_TIME,
};

/// A value, or where and why there is none. Lines and columns count from 1, columns in code points; 0 is unknown.
struct apus_toml_position {
    uint32_t line;
    uint32_t column;
};

/// One value of a document. Pointers are the document's.
struct apus_toml_value {
    enum apus_toml_kind kind;
    struct apus_toml_position position;
    /// In a table, the key: UTF-8. NULL elsewhere.
    const uint8_t *key;
    size_t key_count;
    struct apus_toml_position key_position;
    /// A string: UTF-8, which may contain NUL.
    const uint8_t *text;
    size_t text_count;
    /// An integer; a boolean as 0 or 1.
    int64_t integer;
    /// The index after the last value within this table or array; of others, the next index.
    size_t end;
};

struct apus_toml_error {
    struct apus_toml_position position;
    /// One line of printable ASCII and whatever of the document it quotes; ends with NUL.
    char reason[256];
};

/// Parses `count` bytes. NULL with `error` filled in for what is not TOML, has a key twice, is not UTF-8, goes too
/// deep, or needs more memory than there is.
struct apus_toml *apus_toml_parse(const void *bytes, size_t count, struct apus_toml_error *error);
void apus_toml_free(struct apus_toml *document);

/// All values in depth-first order; the first is the document's table. A table is sorted by the bytes of its keys.
const struct apus_toml_value *apus_toml_values(const struct apus_toml *document, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
