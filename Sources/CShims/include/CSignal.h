// Signals that ask a process to end. The handler is C: Swift promises nothing about what runs inside one.
#ifndef APUS_CSIGNAL_H
#define APUS_CSIGNAL_H

/// From now on SIGINT, SIGTERM and SIGHUP make the returned eventfd readable in place of ending the process; SIGHUP not
/// where it is ignored already, as nohup(1) sets it. When SIGINT or SIGTERM comes later than half a second after the first of
/// them, the process ends at once with exit code 128 + its number. Copies of one
/// request come closer together: timeout(1) signals a process and then its group, a terminal a parent and its children.
/// Returns -1 and sets errno if that cannot be had; to be called once.
///
/// Signals that nobody means for this program (SIGUSR1, SIGUSR2, those of timers, real-time signals), whose default is to end
/// it without a word, are ignored from then on.
///
/// Not sigwait: libdispatch, below Swift's concurrency, parks the main thread in sigsuspend with no signal blocked, so
/// that blocked signals would end the process there.
int apus_catch_stop_signals(void);

/// The number of the first signal that asked the process to end; 0 before.
int apus_stop_signal(void);

#endif
