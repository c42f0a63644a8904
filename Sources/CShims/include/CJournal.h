// systemd's journal: sockets, control messages and sealed memory, which Swift cannot express.
#ifndef APUS_CJOURNAL_H
#define APUS_CJOURNAL_H

#include <stddef.h>

/// Returns a datagram socket for sending entries, or -errno.
int apus_journal_open(void);

/// Sends one entry to the journal listening at `path`, in sealed memory if it exceeds a datagram. Blocks
/// until there is room. Returns 0 or errno. May be called from any thread.
int apus_journal_send(int socket, const char *path, const void *entry, size_t size);

#endif
