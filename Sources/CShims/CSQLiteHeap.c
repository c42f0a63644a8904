#include "CSQLiteHeap.h"

#include <limits.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN = 8, PATTERN = 0xA5 };

// The header of each allocation, as large as malloc's alignment.
struct head {
    size_t size;
    size_t unused;
};

static _Thread_local struct {
    int is_odd;
    long long limit, used, most;
} heap;

// Charges `size` bytes to the thread. Returns 0 if that would exceed its limit.
static int take(long long size) {
    if (heap.is_odd && size > 0 && heap.used + size > heap.limit) return 0;
    heap.used += size;
    if (heap.used > heap.most) heap.most = heap.used;
    return 1;
}

static int heap_round(int size) {
    return size > INT_MAX - GRAIN ? size : (size + GRAIN - 1) / GRAIN * GRAIN;
}

static void *heap_malloc(int size) {
    if (!take(size)) return NULL;
    struct head *head = malloc(sizeof *head + (size_t)size);
    if (!head) {
        take(-(long long)size);
        return NULL;
    }
    head->size = (size_t)size;
    if (heap.is_odd) memset(head + 1, PATTERN, (size_t)size);
    return head + 1;
}

static void heap_free(void *piece) {
    if (!piece) return;
    struct head *head = (struct head *)piece - 1;
    take(-(long long)head->size);
    free(head);
}

static int heap_size(void *piece) { return piece ? (int)((struct head *)piece - 1)->size : 0; }

static void *heap_realloc(void *piece, int size) {
    struct head *head = (struct head *)piece - 1;
    size_t before = head->size;
    if (!take((long long)size - (long long)before)) return NULL;
    head = realloc(head, sizeof *head + (size_t)size);
    if (!head) {
        take((long long)before - (long long)size);
        return NULL;
    }
    head->size = (size_t)size;
    if (heap.is_odd && (size_t)size > before) memset((char *)(head + 1) + before, PATTERN, (size_t)size - before);
    return head + 1;
}

static int heap_init(void *unused) {
    (void)unused;
    return SQLITE_OK;
}

static void heap_shutdown(void *unused) { (void)unused; }

int apus_sqlite_heap_install(void) {
    static const sqlite3_mem_methods methods = {
        heap_malloc, heap_free, heap_realloc, heap_size, heap_round, heap_init, heap_shutdown, NULL};
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

void apus_sqlite_heap_begin(int is_odd, long long limit) {
    heap.is_odd = is_odd;
    heap.limit = limit;
    heap.used = 0;
    heap.most = 0;
}

long long apus_sqlite_heap_end(void) {
    heap.is_odd = 0;
    return heap.most;
}
