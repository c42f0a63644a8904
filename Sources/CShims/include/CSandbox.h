// Confines a process that answers queries: afterwards it can only compute, read the files it has open and
// talk to its parent.
#ifndef APUS_CSANDBOX_H
#define APUS_CSANDBOX_H

/// Ends this process with its parent, lowers its priority below the node's threads, disables core files, and
/// closes all descriptors above `last`. Must be called first.
void apus_sandbox_begin(int last);

/// Limits the process to `bytes` more of mapped memory and to files of `file_bytes`. It can open no file
/// after this. Returns 0 or an errno.
int apus_sandbox_limit(unsigned long bytes, unsigned long file_bytes);

/// Restricts all threads of the process to the system calls of a query: they can no longer open files,
/// sockets or processes or send signals, and can write only to `socket`. Other calls fail with EPERM. Returns
/// 0, or an errno if the kernel lacks such filters.
int apus_sandbox_filter(int socket);

#endif
