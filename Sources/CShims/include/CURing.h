// liburing, epoll and eventfd: the calls that Swift's importer cannot express (inline functions over unions,
// macros). liburing's own header is kept out of the module, since it redefines feature macros that change
// glibc's types. liburing 2.3 has no io_uring_setup_buf_ring, so the ring of buffers is registered by hand.
#ifndef APUS_CURING_H
#define APUS_CURING_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct apus_uring;

struct apus_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/// With this flag in a completion, `flags >> 16` is the buffer that the bytes are in.
static const uint32_t apus_completion_has_buffer = 1;
/// With this flag in a completion, the request goes on and will complete again.
static const uint32_t apus_completion_has_more = 2;

/// A ring for the calling thread, which alone may use it; NULL with an errno. `deferred` asks for SINGLE_ISSUER |
/// DEFER_TASKRUN. `buffers` (a power of two) receive buffers of `buffer_size` bytes at `memory` go with it.
struct apus_uring *apus_uring_create(
    unsigned entries, unsigned completions, bool deferred, void *memory, unsigned buffers,
    unsigned buffer_size, int *error);
void apus_uring_destroy(struct apus_uring *ring);
/// Copies up to `capacity` completions out of the ring and marks them seen.
unsigned apus_uring_reap(struct apus_uring *ring, struct apus_completion *into, unsigned capacity);
/// Submits and waits for one completion at most `nanoseconds`, or without end when negative. 0 or -errno.
int apus_uring_wait(struct apus_uring *ring, int64_t nanoseconds);
/// Gives a receive buffer back to the kernel.
void apus_uring_return_buffer(struct apus_uring *ring, uint16_t buffer);

// Requests, submitted by the next wait. False when the ring takes no more now.
bool apus_uring_receive(struct apus_uring *ring, int descriptor, uint64_t user_data);
bool apus_uring_accept(struct apus_uring *ring, int descriptor, uint64_t user_data);
bool apus_uring_connect(
    struct apus_uring *ring, int descriptor, const struct sockaddr *address, socklen_t length, uint64_t user_data);
bool apus_uring_send(struct apus_uring *ring, int descriptor, const struct msghdr *message, uint64_t user_data);
bool apus_uring_read(struct apus_uring *ring, int descriptor, void *into, unsigned count, uint64_t user_data);
bool apus_uring_cancel(struct apus_uring *ring, uint64_t target, uint64_t user_data);

/// accept4 with SOCK_CLOEXEC and SOCK_NONBLOCK.
int apus_accept(int descriptor);
/// SIOCOUTQ: bytes sent on a TCP socket, its FIN among them, that the peer has not acknowledged; or -1.
int apus_unacknowledged_bytes(int descriptor);

static inline void apus_epoll_event_set(struct epoll_event *event, uint32_t events, uint64_t data) {
    event->events = events;
    event->data.u64 = data;
}

static inline uint64_t apus_epoll_event_data(const struct epoll_event *event) { return event->data.u64; }

#endif
