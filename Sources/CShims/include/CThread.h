// Threads: thread-local storage, which Swift cannot express, and names, which glibc declares for GNU sources
// only.
#ifndef APUS_CTHREAD_H
#define APUS_CTHREAD_H

extern __thread void *apus_thread_loop;

/// Returns the event loop that the calling thread runs, or NULL.
static inline void *apus_current_loop(void) { return apus_thread_loop; }
static inline void apus_set_current_loop(void *loop) { apus_thread_loop = loop; }

/// Names the calling thread, in at most 15 bytes.
void apus_name_thread(const char *name);

#endif
