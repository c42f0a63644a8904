/// Lets in one task at a time for each key; the others wait, first come, first served, the urgent before the rest.
@ReactorActor
public final class KeyedMutex<Key: Hashable & Sendable> {
    /// Who waits for a key that is held, by whether it is urgent.
    private var waiting: [Key: WaitQueue<Bool, Void>] = [:]

    /// Nothing is held.
    public nonisolated init() {}

    /// The number of tasks that wait for a key.
    public func waitingCount(for key: Key, isUrgent: Bool) -> Int {
        waiting[key]?.count { $0 == isUrgent } ?? 0
    }

    /// Returns once the caller is the only one to hold the key, until it calls `unlock`; false if it is cancelled first.
    public func lock(_ key: Key, isUrgent: Bool = false) async -> Bool {
        if let others = waiting[key] {
            return await others.wait(as: isUrgent, before: isUrgent ? { !$0 } : nil) != nil
        }
        waiting[key] = WaitQueue()
        return true
    }

    /// Hands the key to the next task that waits, if there is one.
    public func unlock(_ key: Key) {
        if waiting[key]?.wakeFirst(()) != true { waiting[key] = nil }
    }
}
