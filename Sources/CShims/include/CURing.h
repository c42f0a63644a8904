// liburing, epoll and eventfd: the calls that Swift's importer cannot express (inline functions over unions,
// macros). liburing's own header is kept out of the module, because it redefines feature macros that change
// glibc's types. liburing 2.3 has no io_uring_setup_buf_ring, so the buffer ring is registered by hand.
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

/// In a completion with this flag, `flags >> 16` is the buffer that holds the bytes.
static const uint32_t apus_completion_has_buffer = 1;
/// A request whose completion has this flag continues and will complete again.
static const uint32_t apus_completion_has_more = 2;

/// Creates a ring, which only the calling thread may use. Returns NULL and sets `*error` on failure.
/// `deferred` selects SINGLE_ISSUER | DEFER_TASKRUN. The ring receives into `buffers` (a power of two)
/// buffers of `buffer_size` bytes at `memory`.
struct apus_uring *apus_uring_create(
    unsigned entries, unsigned completions, bool deferred, void *memory, unsigned buffers,
    unsigned buffer_size, int *error);
void apus_uring_destroy(struct apus_uring *ring);
/// Copies up to `capacity` completions out of the ring and marks them seen. Returns their number.
unsigned apus_uring_reap(struct apus_uring *ring, struct apus_completion *into, unsigned capacity);
/// Submits requests and waits for a completion for at most `nanoseconds`; forever if negative. Returns 0 or
/// -errno.
int apus_uring_wait(struct apus_uring *ring, int64_t nanoseconds);
/// Returns a receive buffer to the kernel.
void apus_uring_return_buffer(struct apus_uring *ring, uint16_t buffer);

// Queue requests, which the next wait submits. Return false if the ring is full.
bool apus_uring_receive(struct apus_uring *ring, int descriptor, uint64_t user_data);
bool apus_uring_accept(struct apus_uring *ring, int descriptor, uint64_t user_data);
bool apus_uring_connect(
    struct apus_uring *ring, int descriptor, const struct sockaddr *address, socklen_t length, uint64_t user_data);
bool apus_uring_send(struct apus_uring *ring, int descriptor, const struct msghdr *message, uint64_t user_data);
bool apus_uring_read(struct apus_uring *ring, int descriptor, void *into, unsigned count, uint64_t user_data);
bool apus_uring_cancel(struct apus_uring *ring, uint64_t target, uint64_t user_data);

/// Calls accept4 with SOCK_CLOEXEC and SOCK_NONBLOCK.
int apus_accept(int descriptor);
/// Returns the number of bytes sent on a TCP socket, including its FIN, that the peer has not acknowledged
/// (SIOCOUTQ), or -1.
int apus_unacknowledged_bytes(int descriptor);

static inline void apus_epoll_event_set(struct epoll_event *event, uint32_t events, uint64_t data) {
    event->events = events;
    event->data.u64 = data;
}

static inline uint64_t apus_epoll_event_data(const struct epoll_event *event) { return event->data.u64; }

#endif
