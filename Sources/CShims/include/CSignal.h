// Signals that request a process to stop. The handler is in C because Swift guarantees nothing about code in
// one.
#ifndef APUS_CSIGNAL_H
#define APUS_CSIGNAL_H

#include <stdbool.h>

/// Makes SIGINT, SIGTERM and SIGHUP signal the returned eventfd instead of ending the process; an ignored
/// SIGHUP, as set by nohup(1), stays ignored. A SIGINT or SIGTERM more than half a second after the first
/// ends the process at once with exit code 128 plus its number. Copies of one request arrive sooner than
/// that: timeout(1) signals a process and then its group, a terminal a parent and its children. Call it once.
/// Returns -1 and sets errno on failure.
///
/// If `hangup_reloads`, SIGHUP is no request to stop: it signals the eventfd while `apus_stop_signal` is 0.
///
/// Also ignores signals that are not meant for this program but by default end it silently: SIGUSR1, SIGUSR2,
/// those of timers, and real-time signals.
int apus_catch_stop_signals(bool hangup_reloads);

/// Returns the number of the first signal that requested a stop; 0 before one did.
int apus_stop_signal(void);

#endif
