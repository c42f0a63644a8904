#include "CCSV.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

// The step by which a growing cell is enlarged; libcsv's 128 bytes would move a large cell too often.
enum { CELL_STEP = 64 << 10 };

struct apus_csv {
    struct csv_parser parser;
    struct apus_csv_event *events;
    size_t count;
    size_t capacity;
    uint8_t *text;
    size_t text_count;
    size_t text_capacity;
    bool is_out_of_memory;
};

// Reserves room for `more` elements of `size` bytes after the first `count`.
static bool reserve(void **memory, size_t *capacity, size_t count, size_t more, size_t size) {
    if (more <= *capacity - count) return true;
    size_t wanted = *capacity < 1024 ? 1024 : *capacity;
    while (wanted - count < more) {
        if (wanted > SIZE_MAX / 2 / size) return false;
        wanted *= 2;
    }
    void *larger = realloc(*memory, wanted * size);
    if (larger == NULL) return false;
    *memory = larger;
    *capacity = wanted;
    return true;
}

static void add(struct apus_csv *csv, struct apus_csv_event event) {
    void *events = csv->events;
    if (!reserve(&events, &csv->capacity, csv->count, 1, sizeof event)) {
        csv->is_out_of_memory = true;
        return;
    }
    csv->events = events;
    csv->events[csv->count++] = event;
}

static void cell_ended(void *bytes, size_t count, void *context) {
    struct apus_csv *csv = context;
    void *text = csv->text;
    if (!reserve(&text, &csv->text_capacity, csv->text_count, count, 1)) {
        csv->is_out_of_memory = true;
        return;
    }
    csv->text = text;
    if (count > 0) memcpy(csv->text + csv->text_count, bytes, count);
    add(csv, (struct apus_csv_event){csv->text_count, count, -1});
    csv->text_count += count;
}

static void row_ended(int byte, void *context) {
    add(context, (struct apus_csv_event){0, 0, byte < 0 ? 0 : byte});
}

static int is_never(unsigned char byte) {
    (void)byte;
    return 0;
}

struct apus_csv *apus_csv_create(void) {
    struct apus_csv *csv = calloc(1, sizeof *csv);
    if (csv == NULL) return NULL;
    if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0) {
        free(csv);
        return NULL;
    }
    csv_set_space_func(&csv->parser, is_never);
    csv_set_blk_size(&csv->parser, CELL_STEP);
    return csv;
}

void apus_csv_destroy(struct apus_csv *csv) {
    csv_free(&csv->parser);
    free(csv->events);
    free(csv->text);
    free(csv);
}

enum apus_csv_status apus_csv_parse(struct apus_csv *csv, const void *bytes, size_t count) {
    size_t parsed = csv_parse(&csv->parser, bytes, count, cell_ended, row_ended, csv);
    if (csv->is_out_of_memory) return APUS_CSV_MEMORY;
    if (parsed == count) return APUS_CSV_OK;
    return csv_error(&csv->parser) == CSV_EPARSE ? APUS_CSV_QUOTE : APUS_CSV_MEMORY;
}

enum apus_csv_status apus_csv_finish(struct apus_csv *csv) {
    int result = csv_fini(&csv->parser, cell_ended, row_ended, csv);
    if (csv->is_out_of_memory) return APUS_CSV_MEMORY;
    if (result == 0) return APUS_CSV_OK;
    return csv_error(&csv->parser) == CSV_EPARSE ? APUS_CSV_OPEN : APUS_CSV_MEMORY;
}

const struct apus_csv_event *apus_csv_events(const struct apus_csv *csv, size_t *count) {
    *count = csv->count;
    return csv->events;
}

const uint8_t *apus_csv_text(const struct apus_csv *csv) { return csv->text; }

void apus_csv_clear(struct apus_csv *csv) {
    csv->count = 0;
    csv->text_count = 0;
}

size_t apus_csv_pending(const struct apus_csv *csv) { return csv->parser.entry_pos; }
