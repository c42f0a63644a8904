// A heap for SQLite, which uses all of an allocation, so an allocator that rounds sizes up further lets a
// value just beyond a limit pass. This heap always rounds up to 8 bytes. On request it misbehaves for a
// thread, to show that no statement depends on the heap.
#ifndef APUS_CSQLITE_HEAP_H
#define APUS_CSQLITE_HEAP_H

// Installs the heap, process-wide. Must precede every other call of SQLite. Returns SQLITE_OK or an error.
int apus_sqlite_heap_install(void);

// Begins to count the calling thread's memory. An odd heap fills new memory with a pattern, and refuses to
// grow by more than `limit` bytes.
void apus_sqlite_heap_begin(int is_odd, long long limit);

// Makes the thread's heap an ordinary one again. Returns the peak number of bytes allocated since `begin`.
long long apus_sqlite_heap_end(void);

#endif
