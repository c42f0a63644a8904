// posix_spawn with glibc's extensions, which Swift does not see, and the environment, which it calls unsafe.
#ifndef APUS_CSPAWN_H
#define APUS_CSPAWN_H

#include <sys/types.h>

/// Starts `path` with this process's environment, in a process group of its own, so that a terminal's Ctrl-C reaches
/// only the parent. Standard input is a pipe whose other end goes to `lifeline`; standard output and standard error
/// are `output`; it gets no other descriptors. SIGINT, SIGTERM and SIGPIPE do to it what they do to any new process.
/// Returns 0 and the process ID in `child`, or an errno.
int apus_spawn(const char *path, char *const arguments[], int output, int *lifeline, pid_t *child);

/// A descriptor of the program that runs, whatever has become of its file; -1 and errno if there is none.
int apus_open_program(void);

/// Starts the program that the descriptor `executable` stands for, in a process group of its own, with a socket as its
/// descriptor 3 whose other end goes to `socket`, does not block and is not inherited. Its standard descriptors are
/// /dev/null; descriptor 4 is `executable`. SIGINT, SIGTERM and SIGPIPE do to it what they do to any new process.
/// Returns 0 and the process ID in `child`, or an errno.
int apus_spawn_worker(int executable, char *const arguments[], int *socket, pid_t *child);

#endif
