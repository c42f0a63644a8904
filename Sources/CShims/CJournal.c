#define _GNU_SOURCE
#include "CJournal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// The size of entries that may be queued, in bytes, before a busy journal blocks the log's thread.
#define APUS_JOURNAL_SEND_BUFFER (1 << 20)

int apus_journal_open(void) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int size = APUS_JOURNAL_SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

static int send_message(int socket, const struct msghdr *message) {
    while (sendmsg(socket, message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return errno;
    return 0;
}

static int fill(int file, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        bytes += written;
        size -= (size_t)written;
    }
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    return fcntl(file, F_ADD_SEALS, seals) < 0 ? errno : 0;
}

static int send_memory(int socket, struct msghdr message, const void *entry, size_t size) {
    int file = memfd_create("apus-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return errno;
    int error = fill(file, entry, size);
    if (error == 0) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        memset(&control, 0, sizeof control);
        message.msg_iov = NULL;
        message.msg_iovlen = 0;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(header), &file, sizeof file);
        error = send_message(socket, &message);
    }
    close(file);
    return error;
}

int apus_journal_send(int socket, const char *path, const void *entry, size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
    strcpy(address.sun_path, path);
    struct iovec bytes = {.iov_base = (void *)entry, .iov_len = size};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &bytes, .msg_iovlen = 1};
    int error = send_message(socket, &message);
    // The kernel returns ENOBUFS for a datagram that can never fit into the send buffer.
    return error == EMSGSIZE || error == ENOBUFS ? send_memory(socket, message, entry, size) : error;
}
