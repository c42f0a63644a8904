// prctl(2) is variadic.
#ifndef APUS_CPROCESS_H
#define APUS_CPROCESS_H

#include <sys/prctl.h>

/// Asks the kernel to send `signal` to this process when its parent ends.
static inline int apus_exit_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

#endif
