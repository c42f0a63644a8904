import Synchronization
import VirtualIO

@testable import Storage

/// Counts calls, from 1.
final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }

    var value: Int { count.withLock { $0 } }
}

/// The kinds of operations performed on a disk.
final class Kinds: Sendable {
    private let kinds = Mutex<Set<VirtualDisk.Operation.Kind>>([])

    func insert(_ kind: VirtualDisk.Operation.Kind) { _ = kinds.withLock { $0.insert(kind) } }

    var all: Set<VirtualDisk.Operation.Kind> { kinds.withLock { $0 } }
}
