// libcsv, which splits CSV into cells, strictly (RFC 4180). Spaces belong to cells.
#ifndef APUS_CCSV_H
#define APUS_CCSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A parser and its events since it was last cleared.
struct apus_csv;

/// A cell, or the end of a row.
struct apus_csv_event {
    /// The offset of a cell's bytes, unquoted, in `apus_csv_text`.
    size_t offset;
    size_t count;
    /// -1 for a cell. For the end of a row, the byte that ended it: CR, LF, or 0 for the end of the file. CR
    /// LF yields two ends.
    int end;
};

enum apus_csv_status {
    APUS_CSV_OK,
    /// A quote in an unquoted cell, or text after a closing quote.
    APUS_CSV_QUOTE,
    /// The file ends within quotes.
    APUS_CSV_OPEN,
    APUS_CSV_MEMORY,
};

/// Returns NULL if out of memory.
struct apus_csv *apus_csv_create(void);
void apus_csv_destroy(struct apus_csv *csv);

/// Parses more bytes. After any result but APUS_CSV_OK, earlier events are available and nothing more may be
/// parsed.
enum apus_csv_status apus_csv_parse(struct apus_csv *csv, const void *bytes, size_t count);
/// Ends the last cell and row.
enum apus_csv_status apus_csv_finish(struct apus_csv *csv);

const struct apus_csv_event *apus_csv_events(const struct apus_csv *csv, size_t *count);
const uint8_t *apus_csv_text(const struct apus_csv *csv);
/// Discards the events and their bytes.
void apus_csv_clear(struct apus_csv *csv);
/// Returns the size of the unfinished cell, in bytes.
size_t apus_csv_pending(const struct apus_csv *csv);

#endif
