// The heap that SQLite works with. SQLite uses all of an allocation, so an allocator that rounds sizes up further lets a
// value just beyond a limit pass. This one rounds up to 8 bytes, however the library was built. On request it behaves
// oddly for a thread, to show that no statement depends on that.
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
