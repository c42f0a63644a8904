// What a process that answers queries gives up before the first: what it could do beyond computing, reading the files that
// it has open and speaking with its parent.
#ifndef APUS_CSANDBOX_H
#define APUS_CSANDBOX_H

/// Ends this process with its parent, gives the node's threads the first turn, writes no core files, keeps descriptors up
/// to `last` and closes all others. To be called first.
void apus_sandbox_begin(int last);

/// Bounds what this process may map beyond what it has mapped now, and what it may write to files; it opens no file after
/// this. Returns 0 or an errno.
int apus_sandbox_limit(unsigned long bytes, unsigned long file_bytes);

/// Lets all threads of this process do from now on only what a query needs: no file, socket, process or signal can be had
/// any more, and nothing but `socket` be written to. What is refused fails with EPERM. Returns 0, or an errno when the
/// kernel has no such filters.
int apus_sandbox_filter(int socket);

#endif
