import Bytes
import Collections

/// The bounded queue of RPCs for a peer that reads slowly, by priority.
///
/// An RPC that does not fit displaces less urgent ones, the least urgent and oldest first, or else is dropped. Dropped
/// messages are not lost: the router offers them. Control must not be dropped, so it has room of its own.
struct GossipQueue {
    /// The most bytes of messages and offers: a few of the longest.
    static let capacity = 4 << 20
    /// The most bytes of control: two of the longest RPCs.
    static let controlCapacity = 2 << 20

    /// The result of adding an entry.
    enum Outcome: Equatable {
        /// It is queued and has displaced this many others.
        case queued(displaced: Int)
        /// There is no room.
        case full
    }

    private struct Entry {
        let bytes: SharedBytes
        let message: GossipMessage.ID?
    }

    private var lanes = [Deque<Entry>](repeating: [], count: GossipPriority.allCases.count)
    private var controlBytes = 0
    private var bytes = 0

    /// Adds an encoded RPC. `message` is the ID of the message in it, if it has one.
    mutating func push(
        _ rpc: SharedBytes, _ priority: GossipPriority, message: GossipMessage.ID? = nil
    ) -> Outcome {
        let entry = Entry(bytes: rpc, message: message)
        if priority == .control {
            guard controlBytes + rpc.count <= Self.controlCapacity else { return .full }
            controlBytes += rpc.count
            lanes[priority.rawValue].append(entry)
            return .queued(displaced: 0)
        }
        let lower = GossipPriority.allCases.filter { $0 > priority }
        let displaceable = lower.reduce(0) { $0 + lanes[$1.rawValue].reduce(0) { $0 + $1.bytes.count } }
        guard bytes - displaceable + rpc.count <= Self.capacity else { return .full }
        var displaced = 0
        for lane in lower.reversed() {
            while bytes + rpc.count > Self.capacity, let gone = lanes[lane.rawValue].popFirst() {
                bytes -= gone.bytes.count
                displaced += 1
            }
        }
        bytes += rpc.count
        lanes[priority.rawValue].append(entry)
        return .queued(displaced: displaced)
    }

    /// Removes and returns the next RPC to send.
    mutating func popFirst() -> SharedBytes? {
        for lane in lanes.indices {
            guard let entry = lanes[lane].popFirst() else { continue }
            if lane == GossipPriority.control.rawValue {
                controlBytes -= entry.bytes.count
            } else {
                bytes -= entry.bytes.count
            }
            return entry.bytes
        }
        return nil
    }

    /// Removes messages that the peer has by now.
    mutating func remove(_ messages: Set<GossipMessage.ID>) {
        guard bytes > 0 else { return }
        for lane in lanes.indices {
            lanes[lane].removeAll { entry in
                guard let message = entry.message, messages.contains(message) else { return false }
                bytes -= entry.bytes.count
                return true
            }
        }
    }

    /// Forgets everything.
    mutating func removeAll() { self = GossipQueue() }
}

/// What one peer may send between two heartbeats. Beyond that, it is not read until the next.
struct GossipBudget {
    /// RPCs: twice a thousand votes, each in an RPC of its own.
    static let rpcs = 2_000
    /// Bytes: 128 Mbit/s.
    static let bytes = 16 << 20
    /// Entries of RPCs: twice the offers that a peer may make, and as many others.
    static let entries = 20_000

    /// The factor for the bytes of a peer whose gossip is ignored, which may thus send 256 KiB: more than an honest
    /// peer that does not know sends.
    static let ignoredCost = 64

    private var window = Duration.zero
    private var rpcs = 0
    private var bytes = 0
    private var entries = 0

    /// Counts an RPC, handled or ignored, and returns how long not to read: zero unless the budget is used up.
    mutating func spend(
        _ size: Int, entries count: Int, isIgnored: Bool = false, now: Duration, interval: Duration
    ) -> Duration {
        if now - window >= interval {
            window = now
            rpcs = 0
            bytes = 0
            entries = 0
        }
        rpcs += 1
        bytes += isIgnored ? size * Self.ignoredCost : size
        entries += count
        guard rpcs >= Self.rpcs || bytes >= Self.bytes || entries >= Self.entries else { return .zero }
        return window + interval - now
    }
}

/// The order in which queued RPCs are sent to a peer.
public enum GossipPriority: Int, Sendable, Comparable, CaseIterable {
    /// Subscriptions and mesh control: small, and everything else depends on them.
    case control
    /// Messages of this host.
    case own
    /// Forwarded messages.
    case relayed
    /// Messages that the peer has requested.
    case requested
    /// Offers of messages.
    case offered

    /// Orders the more urgent first.
    public static func < (left: GossipPriority, right: GossipPriority) -> Bool {
        left.rawValue < right.rawValue
    }
}
