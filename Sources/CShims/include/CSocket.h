// What the kernel knows of a TCP socket. A file of its own: glibc's <netinet/tcp.h> lacks what <linux/tcp.h> has, and they
// exclude each other.
#ifndef APUS_CSOCKET_H
#define APUS_CSOCKET_H

#include <stdint.h>

/// TCP_INFO: bytes of a TCP socket that the peer has acknowledged since the beginning; or -1.
int64_t apus_acknowledged_bytes(int descriptor);

#endif
