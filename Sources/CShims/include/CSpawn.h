// posix_spawn with glibc's extensions, which Swift does not see, and the environment, which it calls unsafe.
#ifndef APUS_CSPAWN_H
#define APUS_CSPAWN_H

#include <sys/types.h>

/// Starts `path` with this process's environment, in a process group of its own, so that a terminal's Ctrl-C reaches
/// only the parent. Standard input is a pipe whose other end goes to `lifeline`; standard output and standard error
/// are `output`; it gets no other descriptors. SIGINT, SIGTERM and SIGPIPE do to it what they do to any new process.
/// Returns 0 and the process ID in `child`, or an errno.
int apus_spawn(const char *path, char *const arguments[], int output, int *lifeline, pid_t *child);

#endif
