import Collections
import Crypto
import Multiformats
import Reactor

/// Plans block sync from all peers that have blocks: which heights to request from whom, when to set a peer aside,
/// and which blocks can be proven when (docs/consensus.md, "Catching up").
///
/// A machine, generic over a block before and after its proof. It requests a window of heights above the tip at once, in
/// batches spread over the peers, and delivers proven blocks in order: as many as consensus commits together, and as many
/// again. A block made under validators or a leader that are not known yet is kept until they are. A peer that fails, stalls
/// or lies is set aside for a time that doubles each time; one that did so repeatedly is asked last; one that lacks a
/// height is not asked for it again. The tip advances as long as one peer sends the next block, however slowly. Unproven
/// claims are forgotten.
public struct SyncPlanner<Fetched: Sendable, Proven: Sendable>: Machine {
    /// The ways in which a peer can be asked for blocks.
    public struct Ways: OptionSet, Sendable {
        /// The bits, one per way.
        public let rawValue: UInt8
        /// Creates a set of ways from its bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Consecutive blocks on one stream: `/apus/blkrange/1.0.0`.
        public static var range: Ways { Ways(rawValue: 1) }
        /// One block by its height: `/kwil/blkheight`.
        public static var height: Ways { Ways(rawValue: 2) }
        /// One block by its hash: `/kwil/blk/1.0.0`.
        public static var hash: Ways { Ways(rawValue: 4) }
    }

    /// The result of a request.
    public enum Outcome: Sendable {
        /// The peer sent all that it wanted to send.
        case done
        /// The peer lacks the next block; its best height, if it reported one.
        case lacks(best: Int64?)
        /// The peer is busy with other requests.
        case busy
        /// The request failed.
        case failed
        /// The peer sent something other than the requested blocks.
        case lied
    }

    /// An event of the planner.
    public enum Event: MachineEvent {
        /// Sync to `target`, or raise the target; `from` has claimed it.
        case start(target: Int64, from: PeerID)
        /// The peer can be asked in these ways. Among equal peers the most trusted is asked first.
        case peer(PeerID, Ways, trust: Int)
        /// The peer has disconnected.
        case peerGone(PeerID)
        /// Votes have proven that a block of this height is committed.
        case heightProven(Int64)
        /// The next blocks of a request arrived, the first of this height.
        case blocks(request: Int, first: Int64, [Arrival])
        /// This many bytes of a request's next block have arrived.
        case progress(request: Int, bytes: Int)
        /// The request has ended.
        case ended(request: Int, Outcome)
        /// Answers to checks.
        case judged([Judgement])
        /// The node's tip moved, by whatever means. `newRules`: validators, leader or another parameter changed with
        /// it.
        case committed(height: Int64, newRules: Bool)
        /// The maximum size of a block with its commit info, by the rules at the tip, in bytes.
        case largestBlock(Int)
        /// `deadline` has passed.
        case timer
    }

    /// A block that arrived.
    public struct Arrival: Sendable {
        let block: Fetched
        let size: Int

        /// Pairs a block with its size and that of its proof, in bytes.
        public init(_ block: Fetched, size: Int) { (self.block, self.size) = (block, size) }
    }

    /// A block to be proven.
    public struct Check: Sendable {
        /// The check's ID in its answer.
        public let id: Int
        /// The block's height.
        public let height: Int64
        /// The block.
        public let block: Fetched
        /// The block's size, as it arrived.
        public let size: Int
    }

    /// The answer to a check.
    public struct Judgement: Sendable {
        let id: Int
        let height: Int64
        let verdict: Verdict

        /// Creates the answer to a check.
        public init(of check: Check, _ verdict: Verdict) {
            (id, height, self.verdict) = (check.id, check.height, verdict)
        }
    }

    /// What became of a check.
    public enum Verdict: Sendable {
        /// The block is the one that the network committed after the block with the hash `previous`.
        case proven(Proven, previous: Hash)
        /// The block was made under validators or a leader that are not known yet.
        case unproven
        /// The network committed a different block.
        case wrong
    }

    /// An action of the planner.
    public enum Action: Sendable {
        /// Send a request. It is answered by any number of `blocks`, then `ended`, even if late.
        case request(Request)
        /// Give up the request; `ended` still follows.
        case cancel(request: Int)
        /// Prove the blocks: `judged`, in any number of events.
        case check([Check])
        /// Deliver the next blocks in order, the first of this height.
        case deliver(first: Int64, [Proven])
        /// The peer claimed heights and repeatedly sent nothing.
        case stalled(PeerID)
        /// Nothing is left to do for now: the target is reached, or no reliable peer has more.
        case finished(reached: Bool)
    }

    /// A request for blocks to one peer.
    public struct Request: Sendable {
        /// The request's ID in events and actions.
        public let id: Int
        /// The peer to ask.
        public let from: PeerID
        /// The first block's height.
        public let first: Int64
        /// The number of blocks; more than 1 only by `range`.
        public let count: Int
        /// The size of blocks after which the peer stops, in bytes.
        public let bytes: Int
        /// The way to ask, exactly one.
        public let way: Ways
        /// The block's hash, if the way is `hash`.
        public let hash: Hash?
        /// Whether compression is likely to bring the blocks sooner.
        public let compressed: Bool
        /// The maximum wait for the first byte of an answer.
        public let patience: Duration
        /// The maximum wait between two pieces of an answer.
        public let idle: Duration
    }

    /// A height that a peer has claimed and not yet begun to prove.
    struct Claim: Sendable {
        /// The highest claimed height.
        var height: Int64
        let since: Duration
        /// The node's tip at that time, or the height of a block that the peer proved then.
        let tip: Int64
        /// The number of failed requests since then.
        var tries = 0
    }

    struct Peer: Sendable {
        var ways: Ways
        /// Whether the peer has reported in which ways it can be asked.
        var isKnown = false
        var trust = 0
        var claim: Claim?
        /// The peer's best height, as far as it is known.
        var best: Int64?
        /// The peer has no blocks below this height, although it has higher ones.
        var floor: Int64 = 0
        var floorStep: Int64 = 1
        var requests = 0
        /// The number of requests that others have been asked to serve; the peer is asked nothing until they have
        /// ended.
        var late = 0
        /// When a block of the peer was last proven; nil, and limited to one request at a time, before the first.
        var provenAt: Duration?
        /// The number of failures in a row; a proven block clears it.
        var failures = 0
        /// When a doubtful peer's claims count again.
        var doubtUntil = Duration.zero
        /// The number of "busy" answers in a row.
        var refusals = 0
        var asideUntil: Duration?
        /// The recent speed in bytes per second; 0 when nothing has arrived.
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
        /// When a good part of a block last arrived.
        var moved: Duration
        var due: Duration
        var bytes = 0
        var blocks = 0
        /// The number of bytes of the next block that have arrived.
        var arriving = 0
        /// The expected size of the blocks when the request was made, in bytes.
        let expected: Int
        /// Whether other peers may be asked for its blocks.
        var isLate = false
        /// When the overdue request is given up, after twice its patience; nil while it is in time. Becoming overdue
        /// counts as a failure once.
        var giveUp: Duration?
        var isOverdue: Bool { giveUp != nil }
        var isCancelled = false
        /// Whether the peer has disconnected since the request. It may be back before the request has ended.
        var isOrphaned = false
    }

    /// The state of one height in the window.
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
    /// The target height; nil when nothing is to be fetched.
    public internal(set) var target: Int64?
    /// The highest delivered height.
    var delivered: Int64
    /// The sizes of the blocks that are delivered but not committed, in bytes.
    var uncommitted = Deque<Int>()
    var uncommittedSize = 0
    /// The states of the heights above `delivered`.
    var slots: Deque<Slot> = []
    /// The size of the blocks in `slots`, in bytes.
    var heldSize = 0
    var peers: OrderedDictionary<PeerID, Peer> = [:]
    var running: OrderedDictionary<Int, Running> = [:]
    /// The number of recent failures of peers, including peers that have left.
    var letDowns = FadingCounts<PeerID>(forgiven: Self.forgiven, capacity: Self.remembered)
    /// The highest height that votes have proven.
    var provenHeight: Int64
    var lastID = 0
    /// The average size of received blocks, to estimate that of requested ones.
    var averageSize = 16 << 10
    /// The maximum size of a block, assumed for senders that have proven nothing.
    var largestBlock = 8 << 20
    /// The unreached target and the time to try again.
    var retry: (target: Int64, at: Duration)?
    var retryWait = Self.retryWait

    /// Creates an idle planner.
    public init(tip: Int64) {
        self.tip = tip
        delivered = tip
        provenHeight = tip
    }

    /// Handles one event and appends the resulting actions.
    ///
    /// Specialized for the node's types: what generic code looks up for each height takes longer than the rest of a sync.
    @specialized(where Fetched == SyncCandidate, Proven == DecidedBlock)
    public mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        let now = now.elapsed
        switch event {
        case .start(let height, let from): start(height, from, now, &actions)
        case .peer(let id, let ways, let trust):
            if peers[id] == nil { peers[id] = Peer(ways: ways) } else { peers[id]?.ways = ways }
            peers[id]?.trust = trust
            peers[id]?.isKnown = true
        case .heightProven(let height): provenHeight = max(provenHeight, height)
        case .peerGone(let id):
            peers.removeValue(forKey: id)
            for (request, its) in running where its.from == id {
                release(request)
                running[request]?.isOrphaned = true
            }
        case .blocks(let request, let first, let arrivals):
            received(request, first, arrivals, now, &actions)
        case .progress(let request, let bytes): arriving(request, bytes, now, &actions)
        case .ended(let request, let outcome): ended(request, outcome, now, &actions)
        case .judged(let judgements): for judgement in judgements { judged(judgement, now, &actions) }
        case .committed(let height, let newRules): committed(height, newRules, &actions)
        case .largestBlock(let bytes): largestBlock = max(bytes, 1)
        case .timer: break
        }
        plan(now, &actions)
    }

    // MARK: Events

    private mutating func received(
        _ id: Int, _ first: Int64, _ arrivals: [Arrival], _ now: Duration, _ actions: inout [Action]
    ) {
        guard let request = running[id], first == request.next else { return }
        running[id]?.next = first &+ Int64(arrivals.count)
        running[id]?.arriving = 0
        running[id]?.blocks += arrivals.count
        moved(id, now)
        var checks: [Check] = []
        for (offset, arrival) in arrivals.enumerated() {
            running[id]?.bytes += arrival.size
            averageSize = max(1, (averageSize * 7 + arrival.size) / 8)
            let index = first &- delivered &- 1 &+ Int64(offset)
            guard target != nil, index >= 0, index < Int64(slots.count) else { continue }
            switch slots[Int(index)] {
            case .empty, .asked: break
            default: continue
            }
            slots[Int(index)] = .unproven(arrival.block, size: arrival.size, from: request.from)
            heldSize += arrival.size
            check(Int(index), &checks)
        }
        if !checks.isEmpty { actions.append(.check(checks)) }
    }

    private mutating func moved(_ id: Int, _ now: Duration) {
        guard let request = running[id] else { return }
        let patience = peers[request.from]?.patience ?? Self.patience
        running[id]?.moved = now
        running[id]?.due = now + patience
        if request.isOverdue { running[id]?.giveUp = now + patience * 2 }
    }

    /// Counts the bytes of a block that is arriving. Beyond the limit, all requests but that for the next block are
    /// cancelled and made again when there is room.
    private mutating func arriving(_ id: Int, _ bytes: Int, _ now: Duration, _ actions: inout [Action]) {
        guard let request = running[id], !request.isCancelled else { return }
        running[id]?.arriving = bytes
        moved(id, now)
        guard request.next > delivered &+ 1 else { return }
        if bytesUnderWay > Self.heldBytes { cancel(id, &actions) }
    }

    private mutating func ended(
        _ id: Int, _ outcome: Outcome, _ now: Duration, _ actions: inout [Action]
    ) {
        guard let request = running.removeValue(forKey: id) else { return }
        for index in indices(request.next...max(request.next, request.last)) {
            if case .asked(id) = slots[index] { slots[index] = .empty }
        }
        guard !request.isOrphaned, var peer = peers[request.from] else { return }
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

    private mutating func judged(_ judgement: Judgement, _ now: Duration, _ actions: inout [Action]) {
        let place = judgement.height &- delivered &- 1
        guard place >= 0, place < Int64(slots.count),
            case .checking(judgement.id, let block, let size, let from, let tipThen) = slots[Int(place)]
        else { return }
        let index = Int(place)
        switch judgement.verdict {
        case .proven(let proven, let previous):
            slots[index] = .proven(proven, previous: previous, size: size)
            provenHeight = max(provenHeight, judgement.height)
            peers[from]?.proved(judgement.height, now)
        case .unproven:
            slots[index] = .unproven(block, size: size, from: from)
            guard tipThen < tip else { return }
            var checks: [Check] = []
            check(index, &checks)
            actions.append(.check(checks))
        case .wrong:
            heldSize -= size
            slots[index] = .empty
            peers[from]?.fail(Self.liesWeigh, now)
            distrust(from, &actions)
        }
    }

    /// Cancels the peer's requests and discards its unproven blocks.
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
        for _ in tip..<min(height, delivered) { uncommittedSize -= uncommitted.popFirst() ?? 0 }
        tip = height
        retryWait = Self.retryWait
        while delivered < height {
            heldSize -= slots.popFirst()?.size ?? 0
            delivered += 1
        }
        var checks: [Check] = []
        for index in newRules ? slots.indices : slots.indices.prefix(1) {
            if case .unproven = slots[index] { check(index, &checks) }
        }
        if !checks.isEmpty { actions.append(.check(checks)) }
    }

    private mutating func check(_ index: Int, _ checks: inout [Check]) {
        guard case .unproven(let block, let size, let from) = slots[index] else { return }
        lastID += 1
        slots[index] = .checking(lastID, block, size: size, from: from, tip: tip)
        checks.append(
            Check(id: lastID, height: delivered &+ 1 &+ Int64(index), block: block, size: size))
    }
}
