// Threads: thread-local storage, which Swift cannot express, and names, which glibc declares for GNU sources
// only.
#ifndef APUS_CTHREAD_H
#define APUS_CTHREAD_H

#include <stdbool.h>
#include <stdint.h>

extern __thread void *apus_thread_loop;

/// Returns the event loop that the calling thread runs, or NULL.
static inline void *apus_current_loop(void) { return apus_thread_loop; }
static inline void apus_set_current_loop(void *loop) { apus_thread_loop = loop; }

extern __thread bool apus_thread_must_go_on;

/// Returns whether the calling thread may wait for a disk, which neither a thread that serves sockets nor a job of a pool may. A
/// virtual loop serves none.
static inline bool apus_may_block(void) { return !apus_thread_must_go_on; }
static inline void apus_set_may_block(bool may_block) { apus_thread_must_go_on = !may_block; }

/// Names the calling thread, in at most 15 bytes.
void apus_name_thread(const char *name);

/// What the calling thread has used: the processor's time in microseconds, and how often another thread took the processor
/// from it.
typedef struct {
    int64_t microseconds;
    int64_t preemptions;
} apus_thread_usage;
apus_thread_usage apus_usage_of_thread(void);

/// Returns the number of processors that the process may use, at least 1.
int apus_processor_count(void);

#endif
