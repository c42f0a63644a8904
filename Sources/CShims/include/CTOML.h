// toml++, which parses TOML 1.0.
#ifndef APUS_CTOML_H
#define APUS_CTOML_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The maximum nesting of tables and arrays in a value, and the maximum number of parts in a dotted key. The
/// library's own limit for the former is 256; it has none for the latter, and a key of half a million parts
/// would end the process.
static const unsigned apus_toml_depth = 32;

/// A parsed document. Immutable; may be used from any thread.
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

/// A position. Lines and columns count from 1, columns in code points; 0 is unknown.
struct apus_toml_position {
    uint32_t line;
    uint32_t column;
};

/// A value of a document, which owns the memory pointed to.
struct apus_toml_value {
    enum apus_toml_kind kind;
    struct apus_toml_position position;
    /// The key of a table's member, in UTF-8; NULL elsewhere.
    const uint8_t *key;
    size_t key_count;
    struct apus_toml_position key_position;
    /// The bytes of a string, in UTF-8, possibly with NULs.
    const uint8_t *text;
    size_t text_count;
    /// The value of an integer; a boolean as 0 or 1.
    int64_t integer;
    /// The index after the last value within this table or array; of other values, the next index.
    size_t end;
};

struct apus_toml_error {
    struct apus_toml_position position;
    /// One line of printable ASCII with quotations from the document; NUL-terminated.
    char reason[256];
};

/// Parses `count` bytes. Returns NULL and fills in `error` for invalid TOML or UTF-8, repeated keys,
/// excessive nesting, and lack of memory.
struct apus_toml *apus_toml_parse(const void *bytes, size_t count, struct apus_toml_error *error);
void apus_toml_free(struct apus_toml *document);

/// Returns all values in depth-first order, beginning with the document's table. Tables are sorted by the
/// bytes of their keys.
const struct apus_toml_value *apus_toml_values(const struct apus_toml *document, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
