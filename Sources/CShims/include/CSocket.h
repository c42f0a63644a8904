// The kernel's state of a TCP socket. In a file of its own because <linux/tcp.h>, which it needs, and glibc's
// <netinet/tcp.h> exclude each other.
#ifndef APUS_CSOCKET_H
#define APUS_CSOCKET_H

#include <stdint.h>

/// Returns the number of bytes that the peer has acknowledged since the connection began (TCP_INFO), or -1.
int64_t apus_acknowledged_bytes(int descriptor);

#endif
