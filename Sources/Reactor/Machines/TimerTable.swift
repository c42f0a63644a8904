/// The timers of one machine, by name: an enum case each, with a payload where there is one per peer or block.
///
/// A machine has a handful, so a list in the order of arming serves better than a heap.
public struct TimerTable<Name: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        let name: Name
        var deadline: Duration
    }

    private var entries: [Entry] = []

    /// A table without timers.
    public init() {}

    /// The earliest deadline; nil when no timer is armed.
    public var deadline: Duration? { entries.min { $0.deadline < $1.deadline }?.deadline }

    /// The armed timers, in the order of arming.
    public var names: [Name] { entries.map(\.name) }

    /// When a timer is due; nil when it is not armed.
    public subscript(name: Name) -> Duration? { entries.first { $0.name == name }?.deadline }

    /// Arms a timer, or disarms it for nil. One that is armed already keeps its place and takes the new deadline.
    public mutating func arm(_ name: Name, at deadline: Duration?) {
        guard let deadline else { return cancel(name) }
        if let index = entries.firstIndex(where: { $0.name == name }) {
            entries[index].deadline = deadline
        } else {
            entries.append(Entry(name: name, deadline: deadline))
        }
    }

    /// Disarms a timer, if it is armed.
    public mutating func cancel(_ name: Name) { entries.removeAll { $0.name == name } }

    /// Disarms every timer for which `isCancelled` holds.
    public mutating func cancel(where isCancelled: (Name) -> Bool) {
        entries.removeAll { isCancelled($0.name) }
    }

    /// Disarms and returns the timer that is due first at `now`, the one armed first among equals; nil when none is due.
    public mutating func popDue(_ now: Duration) -> Name? {
        var first: Int?
        for (index, entry) in entries.enumerated() where entry.deadline <= now {
            if first.map({ entry.deadline < entries[$0].deadline }) ?? true { first = index }
        }
        return first.map { entries.remove(at: $0).name }
    }
}
