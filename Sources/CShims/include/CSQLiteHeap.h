// A heap for SQLite that behaves differently on request, for each thread: to show that no statement depends on the heap.
#ifndef APUS_CSQLITE_HEAP_H
#define APUS_CSQLITE_HEAP_H

// Gives SQLite this heap, for the whole process. To be called before anything else of SQLite's; answers SQLITE_OK or an
// error.
int apus_sqlite_heap_install(void);

// From now on the calling thread's memory comes in multiples of `grain` bytes and filled with a pattern, and there is
// none beyond `limit` bytes more than now.
void apus_sqlite_heap_begin(int grain, long long limit);

// Makes the thread's heap an ordinary one again. Answers the most bytes that it had at a time since `begin`.
long long apus_sqlite_heap_end(void);

#endif
