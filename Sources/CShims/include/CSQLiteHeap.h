// The heap that SQLite works with. Whether a value just beyond a limit passes can depend on how much larger than asked for
// a piece of memory is, which SQLite uses whole. Here pieces are multiples of 8 bytes and no larger than that makes them,
// however the library was built. On request a thread's heap is odd, to show that no statement depends on it.
#ifndef APUS_CSQLITE_HEAP_H
#define APUS_CSQLITE_HEAP_H

// Gives SQLite this heap, for the whole process. To be called before anything else of SQLite's; answers SQLITE_OK or an
// error.
int apus_sqlite_heap_install(void);

// From now on the calling thread's memory is counted. An odd heap fills it with a pattern, and has none beyond `limit`
// bytes more than now.
void apus_sqlite_heap_begin(int is_odd, long long limit);

// Makes the thread's heap an ordinary one again. Answers the most bytes that it had at a time since `begin`.
long long apus_sqlite_heap_end(void);

#endif
