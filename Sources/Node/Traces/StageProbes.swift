import CShims
import Crypto

/// Tells tracers such as bpftrace and perf of stages as they are passed (docs/operate/profiling.md). Costs a call and a no-op
/// unless a tracer listens.
enum StageProbes {
    static func passed(_ stage: BlockStage, height: Int64, hash: Hash, at time: Duration) {
        apus_probe_block_stage(height, stage.name.utf8Start, prefix(of: hash), time.nanoseconds)
    }

    static func passed(_ stage: TransactionStage, id: Hash, at time: Duration) {
        apus_probe_transaction_stage(stage.name.utf8Start, prefix(of: id), time.nanoseconds)
    }

    /// The first eight bytes, which in hexadecimal are the first 16 digits of the hash as logs show it.
    private static func prefix(of hash: Hash) -> UInt64 {
        hash.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}
