/// A pure state machine: an event and a time in, actions out.
///
/// A machine touches nothing but its own state. It has no clock, input or output, thread or random source, so a table of
/// events tests it and a seed replays it. `MachineDriver` runs one in a node (docs/architecture.md, "Machines").
public protocol Machine: Sendable {
    /// The events that it handles.
    associatedtype Event: MachineEvent
    /// The actions that it requests.
    associatedtype Action: Sendable

    /// Handles one event and appends the actions that follow from it.
    mutating func handle(_ event: Event, at now: Instant, actions: inout [Action])

    /// When it wants the event `timer`, as `Instant.elapsed`; nil for never.
    var deadline: Duration? { get }

    /// Throws when the state contradicts itself. Called after every event in tests and in simulations.
    func checkInvariants() throws(BrokenInvariant)
}

extension Machine {
    /// The invariant that the state breaks; nil if it breaks none.
    var brokenInvariant: BrokenInvariant? {
        do throws(BrokenInvariant) { try checkInvariants() } catch { return error }
        return nil
    }
}

/// The events of a machine. An enum meets the requirement with a case named `timer`.
public protocol MachineEvent: Sendable {
    /// `Machine.deadline` has passed.
    static var timer: Self { get }
}

/// A moment by the two clocks that a machine may see.
public struct Instant: Hashable, Sendable {
    /// Time since the reactor began. It never goes back, and every wait is measured by it.
    public let elapsed: Duration
    /// Milliseconds since 1970. This clock may be wrong and may jump: it gives blocks their time and measures no wait.
    public let wallClock: UInt64

    /// A moment by both clocks.
    public init(elapsed: Duration, wallClock: UInt64) {
        self.elapsed = elapsed
        self.wallClock = wallClock
    }
}

/// A machine's state contradicts itself: a defect of the program, never of its input.
public struct BrokenInvariant: Error, Hashable, Sendable, CustomStringConvertible {
    /// The contradiction in one line.
    public let description: String

    /// A contradiction that `description` names.
    public init(_ description: String) { self.description = description }
}

extension BrokenInvariant {
    /// Throws `description` unless `condition` holds.
    public static func check(
        _ condition: @autoclosure () -> Bool, _ description: @autoclosure () -> String
    ) throws(BrokenInvariant) {
        if !condition() { throw BrokenInvariant(description()) }
    }
}
