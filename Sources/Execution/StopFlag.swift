import Synchronization

/// The flag by which `Application.stop` stops execution. Safe on any thread.
///
/// It stays raised until an execution ends, so a request between two executions is not lost: it stops the next one,
/// which the caller can simply retry.
final class StopFlag: Sendable {
    private let value = Atomic(false)

    /// Whether the current or next execution must stop.
    var isRaised: Bool { value.load(ordering: .relaxed) }

    /// Stops the current or next execution.
    func raise() { value.store(true, ordering: .relaxed) }

    /// Lowers the flag when an execution ends.
    func lower() { value.store(false, ordering: .relaxed) }
}
