#define _GNU_SOURCE
#include "CURing.h"

#include <errno.h>
#include <liburing.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

// All requests of a ring share one group of buffers.
enum { BUFFER_GROUP = 0 };

_Static_assert(IORING_CQE_F_BUFFER == 1 && IORING_CQE_F_MORE == 2, "the flags documented in CURing.h");

struct apus_uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    size_t buffers_length;
    unsigned char *memory;
    unsigned count;
    unsigned size;
};

static int register_buffers(struct apus_uring *ring) {
    ring->buffers_length = ring->count * sizeof(struct io_uring_buf);
    void *mapped = mmap(
        NULL, ring->buffers_length, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (mapped == MAP_FAILED) return errno;
    ring->buffers = mapped;
    struct io_uring_buf_reg registration = {0};
    registration.ring_addr = (uint64_t)(uintptr_t)mapped;
    registration.ring_entries = ring->count;
    registration.bgid = BUFFER_GROUP;
    int result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    if (result < 0) return -result;
    io_uring_buf_ring_init(ring->buffers);
    int mask = io_uring_buf_ring_mask(ring->count);
    for (unsigned i = 0; i < ring->count; i++)
        io_uring_buf_ring_add(
            ring->buffers, ring->memory + (size_t)i * ring->size, ring->size, (unsigned short)i, mask, (int)i);
    io_uring_buf_ring_advance(ring->buffers, (int)ring->count);
    return 0;
}

struct apus_uring *apus_uring_create(
    unsigned entries, unsigned completions, bool deferred, void *memory, unsigned buffers, unsigned buffer_size,
    int *error) {
    struct apus_uring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    ring->memory = memory;
    ring->count = buffers;
    ring->size = buffer_size;
    struct io_uring_params parameters = {0};
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    if (deferred) parameters.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    parameters.cq_entries = completions;
    int result = io_uring_queue_init_params(entries, &ring->ring, &parameters);
    if (result < 0) {
        *error = -result;
        free(ring);
        return NULL;
    }
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    *error = (ring->ring.features & needed) == needed ? register_buffers(ring) : ENOSYS;
    if (*error != 0) {
        apus_uring_destroy(ring);
        return NULL;
    }
    return ring;
}

void apus_uring_destroy(struct apus_uring *ring) {
    io_uring_queue_exit(&ring->ring);
    if (ring->buffers != NULL) munmap(ring->buffers, ring->buffers_length);
    free(ring);
}

unsigned apus_uring_reap(struct apus_uring *ring, struct apus_completion *into, unsigned capacity) {
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->ring, head, cqe) {
        if (count == capacity) break;
        into[count].user_data = cqe->user_data;
        into[count].result = cqe->res;
        into[count].flags = cqe->flags;
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
    return count;
}

int apus_uring_wait(struct apus_uring *ring, int64_t nanoseconds) {
    int result;
    if (nanoseconds == 0) {
        result = io_uring_submit_and_get_events(&ring->ring);
    } else if (nanoseconds < 0) {
        result = io_uring_submit_and_wait(&ring->ring, 1);
    } else {
        struct __kernel_timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
        struct io_uring_cqe *cqe = NULL;
        result = io_uring_submit_and_wait_timeout(&ring->ring, &cqe, 1, &limit, NULL);
    }
    return result < 0 ? result : 0;
}

void apus_uring_return_buffer(struct apus_uring *ring, uint16_t buffer) {
    if (buffer >= ring->count) return;
    io_uring_buf_ring_add(
        ring->buffers, ring->memory + (size_t)buffer * ring->size, ring->size, buffer,
        io_uring_buf_ring_mask(ring->count), 0);
    io_uring_buf_ring_advance(ring->buffers, 1);
}

static struct io_uring_sqe *next_request(struct apus_uring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (sqe == NULL && io_uring_submit(&ring->ring) >= 0) sqe = io_uring_get_sqe(&ring->ring);
    return sqe;
}

bool apus_uring_receive(struct apus_uring *ring, int descriptor, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    io_uring_prep_recv_multishot(sqe, descriptor, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

bool apus_uring_accept(struct apus_uring *ring, int descriptor, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    io_uring_prep_multishot_accept(sqe, descriptor, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

bool apus_uring_connect(
    struct apus_uring *ring, int descriptor, const struct sockaddr *address, socklen_t length, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    io_uring_prep_connect(sqe, descriptor, address, length);
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

bool apus_uring_send(struct apus_uring *ring, int descriptor, const struct msghdr *message, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    // WAITALL: the kernel continues by itself when the socket's buffer has room again.
    io_uring_prep_sendmsg(sqe, descriptor, message, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

bool apus_uring_read(struct apus_uring *ring, int descriptor, void *into, unsigned count, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    io_uring_prep_read(sqe, descriptor, into, count, 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

bool apus_uring_cancel(struct apus_uring *ring, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *sqe = next_request(ring);
    if (sqe == NULL) return false;
    io_uring_prep_cancel64(sqe, target, 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return true;
}

int apus_accept(int descriptor) { return accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int apus_unacknowledged_bytes(int descriptor) {
    int count = 0;
    return ioctl(descriptor, SIOCOUTQ, &count) == 0 ? count : -1;
}
