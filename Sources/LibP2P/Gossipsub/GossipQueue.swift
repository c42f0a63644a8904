import Bytes
import Collections

/// Which of the things that wait for one peer goes first.
public enum GossipPriority: Int, Sendable, Comparable, CaseIterable {
    /// Subscriptions and the meshes' affairs: small, and everything else depends on them.
    case control
    /// Messages of this host.
    case own
    /// Messages of others, passed on.
    case relayed
    /// Messages that the peer has asked for.
    case requested
    /// Offers of messages.
    case offered

    /// The one that goes first is the smaller.
    public static func < (left: GossipPriority, right: GossipPriority) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// RPCs that wait for a peer which reads slowly: by priority, and bounded.
///
/// What does not fit displaces what is less urgent, the least urgent and oldest first; else it is itself left out.
/// Messages left out are not lost: the router offers them. Control must not be left out, so it has room of its own.
struct GossipQueue {
    /// Bytes of messages and offers that may wait: a few of the longest.
    static let capacity = 4 << 20
    /// Bytes of control: two of the longest RPCs.
    static let controlCapacity = 2 << 20

    /// What becomes of an entry.
    enum Outcome: Equatable {
        /// It waits; so many others had to go for it.
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

    var isEmpty: Bool { lanes.allSatisfy(\.isEmpty) }

    /// Adds an encoded RPC; `message` is the one in it, if it has one.
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

    /// Takes out what goes next.
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

    /// Takes out messages that the peer has by now.
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

/// What one peer may send between two heartbeats before it is not read from until the next.
struct GossipBudget {
    /// RPCs: a thousand votes each in its own, twice.
    static let rpcs = 2_000
    /// Bytes: 128 Mbit/s.
    static let bytes = 16 << 20
    /// Entries of RPCs: offers of as many messages as a peer may offer, twice, and as many other things.
    static let entries = 20_000

    /// How many times as much a byte counts when the peer's gossip is ignored: it may send 256 KiB, more than an honest
    /// peer does that does not know.
    static let ignoredCost = 64

    private var window = Duration.zero
    private var rpcs = 0
    private var bytes = 0
    private var entries = 0

    /// Counts an RPC, whether it is looked at or ignored; returns how long not to read, zero unless the peer has used up
    /// what it may send.
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
