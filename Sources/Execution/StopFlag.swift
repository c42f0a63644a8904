import Synchronization

/// What `Application.stop` raises and execution looks at; from any thread.
///
/// It stays raised until an execution has ended, so that no order is lost between two executions: the next one then
/// gives up in place of the one that was meant, and may simply be asked again.
final class StopFlag: Sendable {
    private let value = Atomic(false)

    /// Whether what runs is to give up.
    var isRaised: Bool { value.load(ordering: .relaxed) }

    /// Asks what runs, or runs next, to give up.
    func raise() { value.store(true, ordering: .relaxed) }

    /// An execution has ended.
    func lower() { value.store(false, ordering: .relaxed) }
}
