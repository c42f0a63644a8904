#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Yields all but a tenth of a processor to a node that needs it.
static const int niceness = 10;

void apus_sandbox_begin(int last) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "apus-query");
    setpriority(PRIO_PROCESS, 0, niceness);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    close_range((unsigned)last + 1, ~0U, 0);
}

int apus_sandbox_limit(unsigned long bytes, unsigned long file_bytes) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return errno;
    int count = fscanf(file, "%lu", &pages);
    fclose(file);
    if (count != 1) return EIO;
    rlim_t space = pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    struct rlimit limits[] = {{space, space}, {file_bytes, file_bytes}, {0, 0}};
    if (setrlimit(RLIMIT_AS, &limits[0]) || setrlimit(RLIMIT_FSIZE, &limits[1]) || setrlimit(RLIMIT_NOFILE, &limits[2]))
        return errno;
    return 0;
}

#if defined(__x86_64__)
#define APUS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define APUS_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef APUS_ARCHITECTURE
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define REFUSAL (SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), ANSWER(SECCOMP_RET_ALLOW)

int apus_sandbox_filter(int socket) {
    struct sock_filter program[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, APUS_ARCHITECTURE, 1, 0),
        ANSWER(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        // Open files, and SQLite's locks on them.
        ALLOW(__NR_read), ALLOW(__NR_pread64), ALLOW(__NR_lseek), ALLOW(__NR_fstat), ALLOW(__NR_newfstatat),
        ALLOW(__NR_fcntl), ALLOW(__NR_close),
#ifdef __NR_stat
        ALLOW(__NR_stat), ALLOW(__NR_lstat),
#endif
        // Memory. Mapping a file requires that it is open.
        ALLOW(__NR_mmap), ALLOW(__NR_munmap), ALLOW(__NR_mremap), ALLOW(__NR_mprotect), ALLOW(__NR_madvise), ALLOW(__NR_brk),
        // Time and waiting.
        ALLOW(__NR_clock_gettime), ALLOW(__NR_gettimeofday), ALLOW(__NR_clock_nanosleep), ALLOW(__NR_nanosleep),
        ALLOW(__NR_setitimer), ALLOW(__NR_futex), ALLOW(__NR_sched_yield), ALLOW(__NR_restart_syscall),
#ifdef __NR_alarm
        ALLOW(__NR_alarm),
#endif
        // Calls that the C library and Swift make themselves.
        ALLOW(__NR_getrandom), ALLOW(__NR_getpid), ALLOW(__NR_gettid), ALLOW(__NR_getuid), ALLOW(__NR_geteuid),
        ALLOW(__NR_sysinfo), ALLOW(__NR_sched_getaffinity), ALLOW(__NR_rt_sigprocmask), ALLOW(__NR_rt_sigreturn),
        ALLOW(__NR_sigaltstack), ALLOW(__NR_exit), ALLOW(__NR_exit_group),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_write, 1, 0),
        ANSWER(REFUSAL),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)socket, 0, 1),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(REFUSAL),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0) return errno ? errno : EBUSY;
    return 0;
}
#else
int apus_sandbox_filter(int socket) {
    (void)socket;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    return ENOSYS;
}
#endif
