// Threads: local storage, which Swift has no word for, and the name, which glibc shows to GNU sources only.
#ifndef APUS_CTHREAD_H
#define APUS_CTHREAD_H

#include <stdbool.h>

extern __thread void *apus_thread_loop;

/// The event loop that the calling thread runs, or NULL.
static inline void *apus_current_loop(void) { return apus_thread_loop; }
static inline void apus_set_current_loop(void *loop) { apus_thread_loop = loop; }

extern __thread bool apus_thread_is_reactor;

/// Whether the calling thread may wait for a disk or a lock: it serves no sockets. A virtual loop serves none.
static inline bool apus_may_block(void) { return !apus_thread_is_reactor; }
static inline void apus_set_reactor_thread(bool is_reactor) { apus_thread_is_reactor = is_reactor; }

/// Names the calling thread; at most 15 bytes.
void apus_name_thread(const char *name);

#endif
