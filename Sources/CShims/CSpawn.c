#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

// Prepares either kind of child, which keeps only descriptors below `first_closed`.
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int first_closed) {
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    int error = posix_spawn_file_actions_addclosefrom_np(actions, first_closed);
    if (!error) error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error) error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error) error = posix_spawnattr_setsigdefault(attributes, &usual);
    if (!error)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return error;
}

static int prepare_child(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int input, int output) {
    int error = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO);
    return error ? error : prepare(actions, attributes, STDERR_FILENO + 1);
}

// A worker's descriptors: its socket and its program.
enum { worker_socket = 3, worker_program = 4 };

static int prepare_worker(
    posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int socket, int executable) {
    int error = posix_spawn_file_actions_adddup2(actions, socket, worker_socket);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, executable, worker_program);
    if (!error) error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDERR_FILENO);
    return error ? error : prepare(actions, attributes, worker_program + 1);
}

int apus_spawn(const char *path, char *const arguments[], int output, int *lifeline, pid_t *child) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (!error) {
        error = posix_spawnattr_init(&attributes);
        if (!error) {
            error = prepare_child(&actions, &attributes, ends[0], output);
            if (!error) error = posix_spawn(child, path, &actions, &attributes, arguments, environ);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[0]);
    if (error) {
        close(ends[1]);
        return error;
    }
    *lifeline = ends[1];
    return 0;
}

int apus_open_program(void) { return open("/proc/self/exe", O_PATH | O_CLOEXEC); }

// Returns a copy of a descriptor above those that a worker's replace.
static int above(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, worker_program + 1); }

static int spawn_worker(int executable, char *const arguments[], int socket, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = prepare_worker(&actions, &attributes, socket, executable);
        if (!error) error = posix_spawn(child, "/proc/self/fd/4", &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int apus_spawn_worker(int executable, char *const arguments[], int *socket, pid_t *child) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    int theirs = above(ends[1]), program = above(executable);
    int error = theirs < 0 || program < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0
        ? errno : spawn_worker(program, arguments, theirs, child);
    if (theirs >= 0) close(theirs);
    if (program >= 0) close(program);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return error;
    }
    *socket = ends[0];
    return 0;
}
