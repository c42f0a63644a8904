#define _GNU_SOURCE
#include "CThread.h"

#include <pthread.h>

__thread void *apus_thread_loop = 0;
__thread bool apus_thread_is_reactor = false;

void apus_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
