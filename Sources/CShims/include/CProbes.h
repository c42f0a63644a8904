// Probes for tracers such as bpftrace and perf (USDT). Each is a no-op until a tracer turns it on.
#ifndef APUS_CPROBES_H
#define APUS_CPROBES_H

#include <stddef.h>
#include <stdint.h>

// apus:block_stage, arguments: height, name of the stage, first eight bytes of the block's hash (big-endian), nanoseconds
// on the loop's clock. `stage` ends with a zero byte.
void apus_probe_block_stage(int64_t height, const unsigned char *stage, uint64_t hash, int64_t time);

// apus:transaction_stage, arguments: name of the stage, first eight bytes of the transaction's ID (big-endian), nanoseconds
// on the loop's clock. `stage` ends with a zero byte.
void apus_probe_transaction_stage(const unsigned char *stage, uint64_t id, int64_t time);

#endif
