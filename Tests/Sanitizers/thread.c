// Linked into programs that `make sanitize-thread` builds: what orders accesses in Swift but is hidden from
// ThreadSanitizer. With this it needs no suppressions.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

// Swift's `Mutex` inlines its fast paths into our code, but takes and releases a contended lock inside
// libswiftSynchronization, which is not instrumented. ThreadSanitizer would miss that order and report accesses under a
// contended lock as races. These functions take the place of the library's.
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void apus_lock(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT bool apus_try_lock(SELF void *mutex) __asm__(TRY_LOCK);
SWIFT void apus_unlock(SELF void *mutex) __asm__(UNLOCK);

SWIFT void apus_lock(uint32_t thread, SELF void *mutex) {
    SWIFT void (*library)(uint32_t, SELF void *) = dlsym(RTLD_NEXT, LOCK);
    library(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT bool apus_try_lock(SELF void *mutex) {
    SWIFT bool (*library)(SELF void *) = dlsym(RTLD_NEXT, TRY_LOCK);
    bool isLocked = library(mutex);
    if (isLocked) __tsan_acquire(mutex);
    return isLocked;
}

SWIFT void apus_unlock(SELF void *mutex) {
    SWIFT void (*library)(SELF void *) = dlsym(RTLD_NEXT, UNLOCK);
    __tsan_release(mutex);
    library(mutex);
}

// A task that waits for a continuation which is already resumed goes on at once. The Swift runtime tells
// ThreadSanitizer of the resumption but not of this, so that the task's use of the result would be reported as a race.
// The first function is called when a task begins to wait, the second when the continuation is resumed meanwhile.
#define AWAIT "swift_continuation_await"
#define ENTER "swift_task_enterThreadLocalContext"

SWIFT void *swift_task_getCurrent(void);
__attribute__((swiftasynccall)) void apus_await(void *continuation) __asm__(AWAIT);
SWIFT void apus_enter(char *context) __asm__(ENTER);

__attribute__((swiftasynccall)) void apus_await(void *continuation) {
    __attribute__((swiftasynccall)) void (*library)(void *) = dlsym(RTLD_NEXT, AWAIT);
    __tsan_acquire(swift_task_getCurrent());
    __attribute__((musttail)) return library(continuation);
}

SWIFT void apus_enter(char *context) {
    SWIFT void (*library)(char *) = dlsym(RTLD_NEXT, ENTER);
    library(context);
    __tsan_acquire(swift_task_getCurrent());
}
