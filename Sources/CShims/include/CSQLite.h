// SQLite with its preupdate hook, and the parts of its interface that are variadic or macros.
#ifndef APUS_CSQLITE_H
#define APUS_CSQLITE_H

#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

// sqlite3_db_config for an int option: sets it, and returns SQLITE_OK or an error.
static inline int apus_sqlite_db_config(sqlite3 *db, int option, int value) {
    return sqlite3_db_config(db, option, value, (int *)0);
}

// Sets how many pages are sorted in memory at once, process-wide. Must precede every other call of SQLite.
// Returns SQLITE_OK or an error.
static inline int apus_sqlite_sort_in_runs(unsigned pages) { return sqlite3_config(SQLITE_CONFIG_PMASZ, pages); }

// Bind copies: Swift does not import the macro SQLITE_TRANSIENT, which is a cast.
static inline int apus_sqlite_bind_text(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
    return sqlite3_bind_text64(
        statement, index, count ? (const char *)bytes : "", count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static inline int apus_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
    return sqlite3_bind_blob64(statement, index, count ? bytes : "", count, SQLITE_TRANSIENT);
}

// Return copies as results.
static inline void apus_sqlite_result_text(sqlite3_context *context, const void *bytes, sqlite3_uint64 count) {
    sqlite3_result_text64(context, count ? (const char *)bytes : "", count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static inline void apus_sqlite_result_blob(sqlite3_context *context, const void *bytes, sqlite3_uint64 count) {
    sqlite3_result_blob64(context, count ? bytes : "", count, SQLITE_TRANSIENT);
}

// Returns a copy to be freed with sqlite3_free.
static inline char *apus_sqlite_copy(const char *text) { return sqlite3_mprintf("%s", text); }

// Allows views and triggers to use the virtual table being connected.
static inline int apus_sqlite_vtab_innocuous(sqlite3 *db) { return sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS); }

// A virtual table and a cursor, each with the Swift object that implements it.
struct apus_sqlite_table {
    sqlite3_vtab base;
    void *object;
};

struct apus_sqlite_cursor {
    sqlite3_vtab_cursor base;
    void *object;
};

#endif
