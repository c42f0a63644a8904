#define _GNU_SOURCE
#include "CThread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

__thread void *apus_thread_loop = 0;
__thread bool apus_thread_must_go_on = false;

void apus_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

apus_thread_usage apus_usage_of_thread(void) {
    struct rusage usage = {0};
    getrusage(RUSAGE_THREAD, &usage);
    return (apus_thread_usage){
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
        usage.ru_nivcsw,
    };
}

int apus_processor_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}
