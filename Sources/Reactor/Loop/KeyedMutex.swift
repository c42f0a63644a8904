/// A mutex per key: one task at a time holds a key. The others wait in order of arrival, urgent ones first.
@ReactorActor
public final class KeyedMutex<Key: Hashable & Sendable> {
    /// The tasks that wait for each held key, marked as urgent or not.
    private var waiting: [Key: WaitQueue<Bool, Void>] = [:]

    /// Creates a mutex that holds no key.
    public nonisolated init() {}

    /// The number of tasks that wait for a key.
    public func waitingCount(for key: Key, isUrgent: Bool) -> Int {
        waiting[key]?.count { $0 == isUrgent } ?? 0
    }

    /// Returns true once the caller holds the key, which it holds until it calls `unlock`; false if it is cancelled first.
    public func lock(_ key: Key, isUrgent: Bool = false) async -> Bool {
        if let others = waiting[key] {
            return await others.wait(as: isUrgent, before: isUrgent ? { !$0 } : nil) != nil
        }
        waiting[key] = WaitQueue()
        return true
    }

    /// Passes the key to the next waiting task, if there is one.
    public func unlock(_ key: Key) {
        if waiting[key]?.wakeFirst(()) != true { waiting[key] = nil }
    }
}
