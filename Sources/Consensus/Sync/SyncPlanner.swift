import Collections
import Crypto
import Multiformats

/// Catching up from whichever peers have the blocks: which heights to ask of whom, when a peer is set aside, and which
/// blocks can be proved when (docs/consensus.md, "Catching up").
///
/// A pure state machine, generic over what a block is before and after its proof. A window of heights above the tip
/// is asked for at once, in batches spread over the peers; blocks that were proved are delivered in order, at most two
/// above the tip. A block made under validators or a leader that are not known yet is kept until they are. A peer
/// that fails, stalls or lies is asked nothing for a while that doubles each time; one that did so again and again lately
/// is asked last; one that lacks a height is not asked for it again. As long as one peer has the next block and sends it,
/// however slowly, the tip moves. What a peer claims and does not prove is forgotten.
public struct SyncPlanner<Fetched: Sendable, Proven: Sendable>: Sendable {
    /// In which ways a peer can be asked for blocks.
    public struct Ways: OptionSet, Sendable {
        /// One bit a way.
        public let rawValue: UInt8
        /// Ways by their bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Consecutive blocks on one stream: `/apus/blkrange/1.0.0`.
        public static var range: Ways { Ways(rawValue: 1) }
        /// One block by its height: `/kwil/blkheight`.
        public static var height: Ways { Ways(rawValue: 2) }
        /// One block by its hash: `/kwil/blk/1.0.0`.
        public static var hash: Ways { Ways(rawValue: 4) }
    }

    /// What came of a request in the end.
    public enum Outcome: Sendable {
        /// The peer sent what it wanted to send.
        case done
        /// The peer has no block of the next height; its best height if it said so.
        case lacks(best: Int64?)
        /// The peer serves others now.
        case busy
        /// It failed on the way.
        case failed
        /// What came is not what was asked for.
        case lied
    }

    /// What happens to a planner.
    public enum Event: Sendable {
        /// Run up to `target`, or raise the target; `from` has told of it.
        case start(target: Int64, from: PeerID)
        /// The peer can be asked. Of equals who is trusted more is asked first.
        case peer(PeerID, Ways, trust: Int)
        /// The peer has no connection any more.
        case peerGone(PeerID)
        /// Votes have proven that there is a block of this height.
        case heightProven(Int64)
        /// The next block of a request came. `size` in bytes.
        case block(request: Int, height: Int64, Fetched, size: Int)
        /// So many bytes of a request's next block, which is still coming, are here.
        case progress(request: Int, bytes: Int)
        /// The request is over.
        case ended(request: Int, Outcome)
        /// Answers to `check`: the block is what the network committed after a block of hash `previous`.
        case proven(check: Int, Proven, previous: Hash)
        /// The block was made under validators or a leader that are not known yet.
        case unproven(check: Int)
        /// The block is not what the network committed.
        case wrong(check: Int)
        /// The node's tip moved, by whatever means. `newRules`: with it the validators, the leader or another parameter.
        case committed(height: Int64, newRules: Bool)
        /// By the rules at the tip, a block with its proof has so many bytes at most.
        case largestBlock(Int)
        /// `deadline` has passed.
        case timer
    }

    /// What a planner wants done.
    public enum Action: Sendable {
        /// Answered by any number of `block`, then `ended`, also when it comes late.
        case request(Request)
        /// Give the request up; `ended` comes all the same.
        case cancel(request: Int)
        /// Prove the block: `proven`, `unproven` or `wrong`.
        case check(Int, height: Int64, Fetched)
        /// The next block in order.
        case deliver(height: Int64, Proven)
        /// The peer claimed heights and sends nothing, again and again.
        case stalled(PeerID)
        /// Nothing more to do for now: the target is reached, or nobody who can be relied on has more.
        case finished(reached: Bool)
    }

    /// Blocks that are asked of one peer.
    public struct Request: Sendable {
        /// Names the request in events and actions.
        public let id: Int
        /// Whom to ask.
        public let from: PeerID
        /// The first block's height.
        public let first: Int64
        /// From 1; more only by `range`.
        public let count: Int
        /// Bytes of blocks after which the peer is to stop.
        public let bytes: Int
        /// How to ask: one way.
        public let way: Ways
        /// The block's hash, if the way is `hash`.
        public let hash: Hash?
        /// Whether compressing the blocks is likely to bring them sooner.
        public let compressed: Bool
        /// Longest wait for the first byte of an answer.
        public let patience: Duration
        /// Longest wait between two pieces of an answer.
        public let idle: Duration
    }

    /// A height that a peer told of and has not begun to prove.
    struct Claim: Sendable {
        /// The greatest that it told of.
        var height: Int64
        let since: Duration
        /// The node's tip then, or the height of a block that the peer has proven then.
        let tip: Int64
        /// Requests that came to nothing since then.
        var tries = 0
    }

    struct Peer: Sendable {
        var ways: Ways
        /// Whether it has told in which ways it can be asked.
        var isKnown = false
        var trust = 0
        var claim: Claim?
        /// The peer's best height as far as it is known.
        var best: Int64?
        /// Heights below are not there, although higher ones are: the peer keeps no older blocks.
        var floor: Int64 = 0
        var floorStep: Int64 = 1
        var requests = 0
        /// Requests that others have been asked to do; nothing more is asked until they have ended.
        var late = 0
        /// When a block of its was proven last: until then it is asked for one thing at a time.
        var provenAt: Duration?
        /// Failures in a row; a proven block clears them.
        var failures = 0
        /// When its word counts again after too many.
        var doubtUntil = Duration.zero
        /// Answers "busy" in a row.
        var refusals = 0
        var asideUntil: Duration?
        /// Bytes a second, of what it sent lately; 0 when it has sent nothing.
        var speed = 0

        var hasProven: Bool { provenAt != nil }
        func has(_ height: Int64) -> Bool { height >= floor && best.map { $0 >= height } ?? true }
    }

    /// A request that has not ended.
    struct Running: Sendable {
        var from: PeerID
        var next: Int64
        var last: Int64
        var began: Duration
        /// When the last bytes of some size came.
        var moved: Duration
        var due: Duration
        var bytes = 0
        var blocks = 0
        /// Bytes of the next block that are here.
        var arriving = 0
        /// What its blocks are expected to take, when it was made.
        let expected: Int
        /// Its blocks may be asked of others.
        var isLate = false
        /// Its peer has kept it waiting for longer than it may, which counts once; when it is given up, having waited for
        /// twice as long.
        var giveUp: Duration?
        var isOverdue: Bool { giveUp != nil }
        var isCancelled = false
    }

    /// What is known of one height of the window.
    enum Slot: Sendable {
        case empty
        case asked(request: Int)
        case checking(Int, Fetched, size: Int, from: PeerID, tip: Int64)
        case unproven(Fetched, size: Int, from: PeerID)
        case proven(Proven, previous: Hash, size: Int)

        var size: Int {
            switch self {
            case .empty, .asked: 0
            case .checking(_, _, let size, _, _), .unproven(_, let size, _), .proven(_, _, let size): size
            }
        }
    }

    /// The node's newest committed height.
    public private(set) var tip: Int64
    /// Nil when nothing is to be fetched.
    public internal(set) var target: Int64?
    /// The highest height that was handed on.
    var delivered: Int64
    /// The heights above `delivered`, as far as anything is known of them.
    var slots: Deque<Slot> = []
    /// Bytes in `slots`.
    var heldSize = 0
    var peers: OrderedDictionary<PeerID, Peer> = [:]
    var running: OrderedDictionary<Int, Running> = [:]
    /// How often peers did not deliver lately, also those that have left since.
    var letDowns = FadingCounts<PeerID>(forgiven: Self.forgiven, capacity: Self.remembered)
    /// The greatest height that votes have proven.
    var provenHeight: Int64
    var lastID = 0
    /// Of the blocks that came, for guessing what those asked for will take.
    var averageSize = 16 << 10
    /// What a block whose sender has proven nothing may take.
    var largestBlock = 8 << 20
    /// What could not be reached, and when to try again.
    var retry: (target: Int64, at: Duration)?
    var retryWait = Self.retryWait

    /// A planner at rest.
    public init(tip: Int64) {
        self.tip = tip
        delivered = tip
        provenHeight = tip
    }

    /// Takes one event and appends what is to be done about it.
    public mutating func handle(_ event: Event, now: Duration, actions: inout [Action]) {
        switch event {
        case .start(let height, let from): start(height, from, now, &actions)
        case .peer(let id, let ways, let trust):
            if peers[id] == nil { peers[id] = Peer(ways: ways) } else { peers[id]?.ways = ways }
            peers[id]?.trust = trust
            peers[id]?.isKnown = true
        case .heightProven(let height): provenHeight = max(provenHeight, height)
        case .peerGone(let id):
            peers.removeValue(forKey: id)
            for (request, its) in running where its.from == id { release(request) }
        case .block(let request, let height, let block, let size):
            received(request, height, block, size, now, &actions)
        case .progress(let request, let bytes): arriving(request, bytes, now, &actions)
        case .ended(let request, let outcome): ended(request, outcome, now, &actions)
        case .proven(let check, let block, let previous):
            guard let index = checking(check), case .checking(_, _, let size, let from, _) = slots[index]
            else { break }
            slots[index] = .proven(block, previous: previous, size: size)
            let height = delivered &+ 1 &+ Int64(index)
            provenHeight = max(provenHeight, height)
            peers[from]?.proved(height, now)
        case .unproven(let check):
            guard let index = checking(check),
                case .checking(_, let block, let size, let from, let at) = slots[index]
            else { break }
            slots[index] = .unproven(block, size: size, from: from)
            if at < tip { self.check(index, &actions) }
        case .wrong(let check): wrong(check, now, &actions)
        case .committed(let height, let newRules): committed(height, newRules, &actions)
        case .largestBlock(let bytes): largestBlock = max(bytes, 1)
        case .timer: break
        }
        plan(now, &actions)
    }

    // MARK: Events

    private mutating func received(
        _ id: Int, _ height: Int64, _ block: Fetched, _ size: Int, _ now: Duration, _ actions: inout [Action]
    ) {
        guard let request = running[id], height == request.next else { return }
        running[id]?.next = height &+ 1
        running[id]?.arriving = 0
        running[id]?.blocks += 1
        running[id]?.bytes += size
        moved(id, now)
        averageSize = max(1, (averageSize * 7 + size) / 8)
        let index = height &- delivered &- 1
        guard target != nil, index >= 0, index < Int64(slots.count) else { return }
        switch slots[Int(index)] {
        case .empty, .asked: break
        default: return
        }
        slots[Int(index)] = .unproven(block, size: size, from: request.from)
        heldSize += size
        check(Int(index), &actions)
    }

    private mutating func moved(_ id: Int, _ now: Duration) {
        guard let request = running[id] else { return }
        let patience = peers[request.from]?.patience ?? Self.patience
        running[id]?.moved = now
        running[id]?.due = now + patience
        if request.isOverdue { running[id]?.giveUp = now + patience * 2 }
    }

    /// What comes is held as it comes: beyond the bound, all but the next block are given up, and asked for again when
    /// there is room.
    private mutating func arriving(_ id: Int, _ bytes: Int, _ now: Duration, _ actions: inout [Action]) {
        guard let request = running[id], !request.isCancelled else { return }
        running[id]?.arriving = bytes
        moved(id, now)
        guard request.next > delivered &+ 1 else { return }
        let all = running.values.reduce(heldSize) { $0 + $1.arriving }
        if all > Self.heldBytes { cancel(id, &actions) }
    }

    private mutating func ended(
        _ id: Int, _ outcome: Outcome, _ now: Duration, _ actions: inout [Action]
    ) {
        guard let request = running.removeValue(forKey: id) else { return }
        for index in indices(request.next...max(request.next, request.last)) {
            if case .asked(id) = slots[index] { slots[index] = .empty }
        }
        guard var peer = peers[request.from] else { return }
        peer.requests -= 1
        if request.isLate { peer.late -= 1 }
        if request.bytes > 0 {
            let elapsed = max(now - request.began, .milliseconds(1))
            let speed = Int(Double(request.bytes) / (elapsed / .seconds(1)))
            peer.speed = peer.speed == 0 ? speed : (peer.speed + speed) / 2
        }
        switch outcome {
        case _ where request.isCancelled: break
        case .done: if request.blocks == 0 { fail(&peer, request.from, now, &actions) }
        case .lacks(let best?) where best > request.next:
            peer.floor = max(peer.floor, request.next &+ peer.floorStep)
            peer.floorStep = min(peer.floorStep * 2, 1024)
            peer.best = best
        case .lacks(let best):
            peer.best = min(best ?? .max, request.next &- 1)
            peer.claim?.tries += 1
        case .busy where request.blocks > 0:
            peer.asideUntil = max(peer.asideUntil ?? .zero, now + Self.busyAside)
        case .busy: refused(&peer, request.from, now, &actions)
        case .failed: if !request.isOverdue { fail(&peer, request.from, now, &actions) }
        case .lied: peer.fail(Self.liesWeigh, now)
        }
        peers[request.from] = peer
        if case .lied = outcome { distrust(request.from, &actions) }
    }

    private mutating func wrong(_ check: Int, _ now: Duration, _ actions: inout [Action]) {
        guard let index = checking(check), case .checking(_, _, let size, let from, _) = slots[index] else {
            return
        }
        heldSize -= size
        slots[index] = .empty
        peers[from]?.fail(Self.liesWeigh, now)
        distrust(from, &actions)
    }

    /// Gives up what the peer is sending and what it sent that is not proved.
    private mutating func distrust(_ id: PeerID, _ actions: inout [Action]) {
        for index in slots.indices {
            switch slots[index] {
            case .checking(_, _, let size, id, _), .unproven(_, let size, id):
                heldSize -= size
                slots[index] = .empty
            default: break
            }
        }
        for (request, its) in running where its.from == id { cancel(request, &actions) }
    }

    private mutating func committed(_ height: Int64, _ newRules: Bool, _ actions: inout [Action]) {
        guard height > tip else { return }
        tip = height
        retryWait = Self.retryWait
        while delivered < height {
            heldSize -= slots.popFirst()?.size ?? 0
            delivered += 1
        }
        for index in slots.indices where newRules || index == 0 {
            if case .unproven = slots[index] { check(index, &actions) }
        }
    }

    private mutating func check(_ index: Int, _ actions: inout [Action]) {
        guard case .unproven(let block, let size, let from) = slots[index] else { return }
        lastID += 1
        slots[index] = .checking(lastID, block, size: size, from: from, tip: tip)
        actions.append(.check(lastID, height: delivered &+ 1 &+ Int64(index), block))
    }

    private func checking(_ check: Int) -> Int? {
        slots.firstIndex { if case .checking(check, _, _, _, _) = $0 { true } else { false } }
    }
}
