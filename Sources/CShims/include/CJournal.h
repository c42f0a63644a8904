// systemd's journal: sockets, and the control messages and sealed memory that Swift has no words for.
#ifndef APUS_CJOURNAL_H
#define APUS_CJOURNAL_H

#include <stddef.h>

/// A datagram socket to send entries with, or -errno.
int apus_journal_open(void);

/// Sends one entry to the journal that listens at `path`, in sealed memory if it is longer than a datagram may be.
/// Blocks until there is room. Returns 0 or errno. Any thread.
int apus_journal_send(int socket, const char *path, const void *entry, size_t size);

#endif
