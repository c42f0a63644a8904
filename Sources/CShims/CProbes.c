#include "CProbes.h"

#include <sys/sdt.h>

void apus_probe_block_stage(int64_t height, const unsigned char *stage, uint64_t hash, int64_t time) {
    DTRACE_PROBE4(apus, block_stage, height, stage, hash, time);
}

void apus_probe_transaction_stage(const unsigned char *stage, uint64_t id, int64_t time) {
    DTRACE_PROBE3(apus, transaction_stage, stage, id, time);
}
