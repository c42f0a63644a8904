import Bytes
import Multiformats

/// The messages seen recently, so that none is handled twice.
///
/// Two generations: the older is dropped as a whole. An ID is remembered for at least `lifetime`, unless more than
/// `capacity` arrive in that time.
struct SeenMessages {
    /// How long a message may be in transit; other implementations also use 120 s.
    static let lifetime = Duration.seconds(120)
    /// The most IDs in a generation, about 100 bytes each.
    static let capacity = 50_000

    private var current: Set<GossipMessage.ID> = []
    private var previous: Set<GossipMessage.ID> = []
    private var began = Duration.zero

    /// Whether the message has been seen.
    func contains(_ id: GossipMessage.ID) -> Bool { current.contains(id) || previous.contains(id) }

    /// Remembers the message. Returns false if it was known.
    mutating func insert(_ id: GossipMessage.ID, now: Duration) -> Bool {
        guard !contains(id) else { return false }
        if now - began >= Self.lifetime || current.count >= Self.capacity {
            previous = now - began >= Self.lifetime * 2 ? [] : current
            current = []
            began = now
        }
        current.insert(id)
        return true
    }
}

/// The messages of the last few heartbeats, to offer and to send on request.
///
/// gossipsub 1.0 specification, "Message Cache".
struct RecentMessages {
    /// The number of heartbeats for which a message is kept.
    static let history = 5
    /// The number of latest heartbeats whose messages are offered.
    static let gossip = 3
    /// The most bytes of messages kept; beyond that the oldest are dropped early.
    static let capacity = 16 << 20
    /// The most times that one peer is sent the same message on request.
    static let maximumSends = 3

    private struct Entry {
        let message: GossipMessage
        var sends: [PeerID: Int] = [:]
    }

    private var entries: [GossipMessage.ID: Entry] = [:]
    /// IDs by heartbeat, the current one first.
    private var windows: [[GossipMessage.ID]] = [[]]
    private var bytes = 0

    /// Adds a message to the current window.
    mutating func insert(_ message: GossipMessage) {
        let id = message.id
        guard entries[id] == nil else { return }
        entries[id] = Entry(message: message)
        windows[0].append(id)
        bytes += message.encoded.count
        while bytes > Self.capacity, windows.count > 1 { dropOldest() }
        while bytes > Self.capacity, let first = windows[0].first, first != id {
            remove(first)
            windows[0].removeFirst()
        }
    }

    /// Returns up to `limit` IDs to offer for a topic, the newest first.
    func offers(topic: RawText, limit: Int) -> [GossipMessage.ID] {
        var ids: [GossipMessage.ID] = []
        for window in windows.prefix(Self.gossip) {
            for id in window.reversed() where entries[id]?.message.topic == topic {
                guard ids.count < limit else { return ids }
                ids.append(id)
            }
        }
        return ids
    }

    /// Returns a requested message, unless the peer has been sent it `maximumSends` times.
    mutating func message(_ id: GossipMessage.ID, for peer: PeerID) -> GossipMessage? {
        guard let entry = entries[id] else { return nil }
        let sends = entry.sends[peer] ?? 0
        guard sends < Self.maximumSends else { return nil }
        entries[id]?.sends[peer] = sends + 1
        return entry.message
    }

    /// Begins a new heartbeat's window and drops the oldest.
    mutating func shift() {
        windows.insert([], at: 0)
        while windows.count > Self.history { dropOldest() }
    }

    private mutating func dropOldest() {
        for id in windows.removeLast() { remove(id) }
    }

    private mutating func remove(_ id: GossipMessage.ID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        bytes -= entry.message.encoded.count
    }
}
