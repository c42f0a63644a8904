// Where a job of a Swift executor will continue. The runtime has no function that tells, so this reads its structures: those of
// the runtime that is linked into the program. StallTests fail if they change.
#ifndef APUS_CTASK_H
#define APUS_CTASK_H

#include <stdint.h>

#define APUS_JOB_CALLS 12

/// The functions that a job runs: the one in which it continues, those that await it, outwards, and 0 beyond.
typedef struct {
    uintptr_t functions[APUS_JOB_CALLS];
} apus_job_calls;

// https://github.com/swiftlang/swift, include/swift/ABI/Task.h: Job (a header of two words, two words of the scheduler's, the
// flags, three words, the function) and AsyncTask (the context after it); AsyncContext (the caller's context, and the function
// in which the caller continues).
static inline apus_job_calls apus_calls_of_job(const void *job) {
    const uintptr_t *words = (const uintptr_t *)job;
    apus_job_calls calls = {{words[7]}};
    enum { JOB_IS_TASK = 0 };
    if ((words[4] & 0xff) != JOB_IS_TASK) return calls;
    const uintptr_t *context = (const uintptr_t *)words[8];
    for (int depth = 1; depth < APUS_JOB_CALLS && context; depth++) {
        calls.functions[depth] = context[1];
        context = (const uintptr_t *)context[0];
    }
    return calls;
}

/// The processor's clock: monotonic, in a unit of its own.
static inline uint64_t apus_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

#endif
