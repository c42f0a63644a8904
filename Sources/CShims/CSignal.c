#define _GNU_SOURCE
#include "CSignal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int raised = -1;
// When any signal first requested a stop, and when one that may be repeated did.
static atomic_llong first_at, urged_at;
static atomic_int first_number;
static atomic_bool reloads_on_hangup;

static const long long same_request = 500000000;

static const int unmeant[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGPIPE, SIGSTKFLT};

static long long nanoseconds(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void wake(void) {
    uint64_t one = 1;
    ssize_t written = write(raised, &one, sizeof one);
    (void)written;
}

static void take(int number) {
    int error = errno;
    if (number == SIGHUP && atomic_load(&reloads_on_hangup)) {
        wake();
        errno = error;
        return;
    }
    long long now = nanoseconds(), first = 0, urged = 0;
    if (atomic_compare_exchange_strong(&first_at, &first, now)) {
        atomic_store(&first_number, number);
        wake();
    }
    if (number != SIGHUP && !atomic_compare_exchange_strong(&urged_at, &urged, now) && now - urged > same_request)
        _exit(128 + number);
    errno = error;
}

int apus_catch_stop_signals(bool hangup_reloads) {
    atomic_store(&reloads_on_hangup, hangup_reloads);
    raised = eventfd(0, EFD_CLOEXEC);
    if (raised < 0) return -1;
    struct sigaction action = {.sa_handler = take, .sa_flags = SA_RESTART};
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) return -1;
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) != 0) return -1;
    if (hangup.sa_handler != SIG_IGN && sigaction(SIGHUP, &action, NULL) != 0) return -1;
    for (size_t index = 0; index < sizeof unmeant / sizeof *unmeant; index++) signal(unmeant[index], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) signal(number, SIG_IGN);
    return raised;
}

int apus_stop_signal(void) { return atomic_load(&first_number); }
