// posix_spawn with glibc's extensions, which Swift does not import, and the environment, which it considers
// unsafe.
#ifndef APUS_CSPAWN_H
#define APUS_CSPAWN_H

#include <sys/types.h>

/// Starts `path` with this process's environment, in a process group of its own, so that a terminal's Ctrl-C
/// reaches only the parent. Standard input is a pipe whose other end goes to `lifeline`; standard output and
/// standard error are `output`. The child inherits no other descriptors, and has the default handling of
/// SIGINT, SIGTERM and SIGPIPE. Returns 0 and the process ID in `child`, or an errno.
int apus_spawn(const char *path, char *const arguments[], int output, int *lifeline, pid_t *child);

/// Returns a descriptor of the running program, even if its file has been replaced, or -1 with errno.
int apus_open_program(void);

/// Starts the program behind the descriptor `executable`, in a process group of its own. The child's
/// descriptor 3 is a socket whose other end goes to `socket`, non-blocking and close-on-exec; descriptor 4 is
/// `executable`; its standard descriptors are /dev/null. It has the default handling of SIGINT, SIGTERM and
/// SIGPIPE. Returns 0 and the process ID in `child`, or an errno.
int apus_spawn_worker(int executable, char *const arguments[], int *socket, pid_t *child);

#endif
