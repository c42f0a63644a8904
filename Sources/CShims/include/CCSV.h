// libcsv: splits CSV into cells, strictly (RFC 4180). Blanks are part of a cell.
#ifndef APUS_CCSV_H
#define APUS_CCSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A parser and what it has found since it was last cleared.
struct apus_csv;

/// A cell, or the end of a row.
struct apus_csv_event {
    /// Of a cell, where its bytes lie in `apus_csv_text`, quotes undone.
    size_t offset;
    size_t count;
    /// -1 of a cell. Of a row's end, the byte that ended it: CR, LF, or 0 for the end of the file. CR LF ends a row
    /// twice.
    int end;
};

enum apus_csv_status {
    APUS_CSV_OK,
    /// A quote within a cell that does not begin with one, or something behind a closing quote.
    APUS_CSV_QUOTE,
    /// The file ends within quotes.
    APUS_CSV_OPEN,
    APUS_CSV_MEMORY,
};

/// NULL if memory ran out.
struct apus_csv *apus_csv_create(void);
void apus_csv_destroy(struct apus_csv *csv);

/// Parses more bytes. After anything but APUS_CSV_OK the events until then are there, and nothing more may be parsed.
enum apus_csv_status apus_csv_parse(struct apus_csv *csv, const void *bytes, size_t count);
/// Ends the last cell and row.
enum apus_csv_status apus_csv_finish(struct apus_csv *csv);

const struct apus_csv_event *apus_csv_events(const struct apus_csv *csv, size_t *count);
const uint8_t *apus_csv_text(const struct apus_csv *csv);
/// Forgets the events and their bytes.
void apus_csv_clear(struct apus_csv *csv);
/// Bytes of the cell that has begun and not ended.
size_t apus_csv_pending(const struct apus_csv *csv);

#endif
