import Multiformats
import OrderedCollections

/// Catching up by height from whichever peers have the blocks: which height to ask of whom, and when a peer is set
/// aside (docs/consensus.md, "Catching up").
///
/// A pure state machine, generic over what a block is. A window of heights above the tip is asked for at once,
/// spread over the peers; blocks that were proved are delivered in order, at most two above the tip. A peer that
/// fails, stalls or lies is asked nothing for a while that doubles each time; one that lacks a height is simply not
/// asked for it again. As long as one peer has the next block and sends it, however slowly, the tip moves.
public struct SyncPlanner<Block: Sendable>: Sendable {
    /// What happens to a planner.
    public enum Event: Sendable {
        /// Run up to `target`, or raise the target; `from` has told of it.
        case start(target: Int64, from: PeerID)
        /// The peer can be asked; its best height if it is known.
        case peer(PeerID, best: Int64?)
        case peerGone(PeerID)
        /// A block came and its proof holds. `size` in bytes.
        case block(height: Int64, Block, size: Int, from: PeerID)
        /// The peer has no block of this height; its best height if it said so.
        case notFound(height: Int64, from: PeerID, best: Int64?)
        /// The request failed on the way.
        case failed(height: Int64, from: PeerID)
        /// What came is not what the network committed.
        case lied(height: Int64, from: PeerID)
        /// The node's tip moved, by whatever means.
        case committed(height: Int64)
        /// `deadline` has passed.
        case timer
    }

    /// What a planner wants done.
    public enum Action: Sendable {
        /// Answered by `block`, `notFound`, `failed` or `lied`, also when it comes late.
        case request(height: Int64, from: PeerID)
        /// The next block in order.
        case deliver(height: Int64, Block)
        /// Nothing more to do: the target is reached, or no peer has more.
        case finished(reached: Bool)
    }

    struct Peer: Sendable {
        var best: Int64?
        var outstanding = 0
        /// Failures in a row; a delivered block clears them.
        var failures = 0
        var asideUntil: Duration?

        func has(_ height: Int64) -> Bool { best.map { $0 >= height } ?? true }
    }

    struct Request: Sendable {
        var from: PeerID
        var due: Duration
    }

    /// Most heights above the tip that are asked for or held.
    public static var window: Int64 { 128 }
    /// Most bytes of blocks held for delivery, besides the next one.
    public static var heldBytes: Int { 64 << 20 }
    /// Most requests to one peer at once.
    public static var requestsPerPeer: Int { 16 }
    /// Wait for an answer before another peer is asked; doubles with the peer's failures up to the longest, which is
    /// what docs/wire.md, section 7, gives a block to arrive.
    public static var patience: Duration { .seconds(4) }
    static var longestPatience: Duration { .seconds(90) }
    /// First time that a failing peer is set aside; doubles up to the longest.
    static var setAside: Duration { .seconds(1) }
    static var longestSetAside: Duration { .seconds(60) }

    /// The node's newest committed height.
    public private(set) var tip: Int64
    /// Nil when nothing is to be fetched.
    public private(set) var target: Int64?
    private var peers: OrderedDictionary<PeerID, Peer> = [:]
    private var requests: [Int64: Request] = [:]
    private var held: [Int64: (block: Block, size: Int)] = [:]
    private var heldSize = 0
    private var delivered: Int64
    /// Of the blocks that came, for guessing what those asked for will take.
    private var averageSize = 16 << 10

    /// A planner at rest.
    public init(tip: Int64) {
        self.tip = tip
        delivered = tip
    }

    /// Takes one event and appends what is to be done about it.
    public mutating func handle(_ event: Event, now: Duration, actions: inout [Action]) {
        switch event {
        case .start(let height, let from):
            if height > tip { target = max(target ?? height, height) }
            var peer = peers[from] ?? Peer()
            peer.best = max(peer.best ?? height, height)
            peers[from] = peer
        case .peer(let id, let best):
            var peer = peers[id] ?? Peer()
            peer.best = best ?? peer.best
            peers[id] = peer
        case .peerGone(let id):
            peers.removeValue(forKey: id)
            for height in requests.keys.sorted() where requests[height]?.from == id {
                requests.removeValue(forKey: height)
            }
        case .block(let height, let block, let size, let from):
            answered(height, from)
            peers[from]?.failures = 0
            peers[from]?.asideUntil = nil
            averageSize = (averageSize * 7 + size) / 8
            if target != nil, height > delivered, height <= tip + Self.window, held[height] == nil {
                held[height] = (block, size)
                heldSize += size
                requests.removeValue(forKey: height)
            }
        case .notFound(let height, let from, let best):
            answered(height, from)
            peers[from]?.best = min(best ?? (height - 1), height - 1)
        case .failed(let height, let from):
            answered(height, from)
            setAside(from, now)
        case .lied(let height, let from):
            answered(height, from)
            peers[from]?.failures += 3
            setAside(from, now)
        case .committed(let height):
            guard height > tip else { break }
            tip = height
            delivered = max(delivered, height)
            for old in held.keys.sorted() where old <= height {
                if let gone = held.removeValue(forKey: old) { heldSize -= gone.size }
            }
            for old in requests.keys.sorted() where old <= height { requests.removeValue(forKey: old) }
        case .timer:
            break
        }
        plan(now, &actions)
    }

    /// When `timer` is due; nil for never.
    public var deadline: Duration? {
        guard target != nil else { return nil }
        let due = requests.values.map(\.due) + peers.values.compactMap(\.asideUntil)
        return due.min()
    }

    /// Whether the height is asked for at present.
    public func isRequested(_ height: Int64) -> Bool { requests[height] != nil }

    private mutating func answered(_ height: Int64, _ from: PeerID) {
        if let outstanding = peers[from]?.outstanding, outstanding > 0 {
            peers[from]?.outstanding = outstanding - 1
        }
        if requests[height]?.from == from { requests.removeValue(forKey: height) }
    }

    private mutating func setAside(_ id: PeerID, _ now: Duration) {
        guard var peer = peers[id] else { return }
        peer.failures = min(peer.failures + 1, 16)
        peer.asideUntil = now + min(Self.setAside * (1 << min(peer.failures - 1, 6)), Self.longestSetAside)
        peers[id] = peer
    }

    private mutating func plan(_ now: Duration, _ actions: inout [Action]) {
        guard let target else { return }
        if tip >= target { return finish(true, &actions) }
        for id in peers.keys {
            if let until = peers[id]?.asideUntil, until <= now { peers[id]?.asideUntil = nil }
        }
        for height in requests.keys.sorted() {
            guard let request = requests[height], request.due <= now else { continue }
            // Another may be asked; the stalled request still counts against its peer until it is answered.
            requests.removeValue(forKey: height)
            setAside(request.from, now)
        }
        // The machine takes two heights above the tip: one to execute, one to follow at once.
        while delivered < tip + 2, let next = held.removeValue(forKey: delivered + 1) {
            heldSize -= next.size
            delivered += 1
            actions.append(.deliver(height: delivered, next.block))
        }
        var height = delivered + 1
        let last = min(target, tip + Self.window)
        while height <= last {
            if held[height] == nil, requests[height] == nil {
                guard height == delivered + 1 || hasRoom else { break }
                if let id = choose(height), let peer = peers[id] {
                    peers[id]?.outstanding += 1
                    let patience = min(Self.patience * (1 << min(peer.failures, 5)), Self.longestPatience)
                    requests[height] = Request(from: id, due: now + patience)
                    actions.append(.request(height: height, from: id))
                } else if height == delivered + 1, delivered == tip,
                    !peers.values.contains(where: { $0.has(height) })
                {
                    return finish(false, &actions)
                }
            }
            height += 1
        }
    }

    private var hasRoom: Bool { heldSize + requests.count * averageSize < Self.heldBytes }

    /// The least busy peer that may have the height; among equals the one with fewer failures, then the older.
    private func choose(_ height: Int64) -> PeerID? {
        var best: (id: PeerID, peer: Peer)?
        for (id, peer) in peers
        where peer.asideUntil == nil && peer.has(height) && peer.outstanding < Self.requestsPerPeer {
            guard let other = best else {
                best = (id, peer)
                continue
            }
            if (peer.outstanding, peer.failures) < (other.peer.outstanding, other.peer.failures) {
                best = (id, peer)
            }
        }
        return best?.id
    }

    private mutating func finish(_ reached: Bool, _ actions: inout [Action]) {
        target = nil
        requests = [:]
        held = [:]
        heldSize = 0
        delivered = tip
        actions.append(.finished(reached: reached))
    }
}
