import Crypto
import Multiformats
import Reactor
import Testing

@testable import Consensus

/// Simulates peers with fixed behaviour for a sync planner, in virtual time. A block is its height; a block of a fork
/// is the negative of its height.
struct SyncWorld {
    typealias Planner = SyncPlanner<Sent, Int64>

    struct Sent: Sendable {
        let height: Int64
        let isForked: Bool
    }

    enum Behaviour {
        /// Has all blocks up to a height.
        case full(Int64)
        /// Has these heights only.
        case part(ClosedRange<Int64>)
        /// Has all blocks up to a height except one.
        case holed(Int64, Int64)
        /// Has all blocks up to a height, those from `from` on of another chain.
        case forked(Int64, from: Int64)
        /// Takes this long for each block.
        case slow(Int64, Duration)
        case stalls, fails, lies, busy
        /// Claims to have everything, and sends nothing.
        case claims

        func has(_ height: Int64) -> Bool {
            switch self {
            case .full(let best), .slow(let best, _), .forked(let best, _): height <= best
            case .part(let heights): heights.contains(height)
            case .holed(let best, let hole): height <= best && height != hole
            case .stalls, .fails, .lies, .busy, .claims: false
            }
        }

        var best: Int64 {
            switch self {
            case .full(let best), .slow(let best, _), .forked(let best, _), .holed(let best, _): best
            case .part(let heights): heights.upperBound
            case .claims: .max
            case .stalls, .fails, .lies, .busy: 0
            }
        }
    }

    var planner = Planner(tip: 0)
    var now: Duration = .zero
    var peers: [PeerID: Behaviour] = [:]
    /// Heights after which the rules change: blocks above cannot be proven before these are committed.
    var changes: Set<Int64> = []
    var delivered: [Int64] = []
    var finished: Bool?
    var stalled: [PeerID] = []
    var requests: [Planner.Request] = []
    var sent: [PeerID: Int] = [:]
    private var cancelled: Set<Int> = []
    /// The events to come: the latest first, and of one time the newest first.
    private var pending: [(at: Duration, event: Planner.Event)] = []

    static func hash(_ height: Int64) -> Hash { Hash.sha256(of: Array("\(height)".utf8)) }

    mutating func send(_ event: Planner.Event) {
        var actions: [Planner.Action] = []
        planner.handle(event, at: Instant(elapsed: now, wallClock: 0), actions: &actions)
        do { try planner.checkInvariants() } catch { Issue.record(error) }
        for action in actions {
            switch action {
            case .request(let request):
                requests.append(request)
                answer(request)
            case .cancel(let id):
                cancelled.insert(id)
                pending.removeAll { Self.request($0.event) == id }
                add(.ended(request: id, .failed), at: now)
            case .check(let checks): for one in checks { check(one) }
            case .deliver(let first, let blocks):
                for (offset, height) in blocks.enumerated() {
                    precondition(height == first + Int64(offset))
                    delivered.append(height)
                    let changed = changes.contains(height)
                    add(.committed(height: height, newRules: changed), at: now + .milliseconds(2))
                }
            case .stalled(let peer): stalled.append(peer)
            case .finished(let reached): finished = reached
            }
        }
    }

    private mutating func add(_ event: Planner.Event, at time: Duration) {
        var (low, high) = (0, pending.count)
        while low < high {
            let middle = (low + high) / 2
            if pending[middle].at > time { low = middle + 1 } else { high = middle }
        }
        pending.insert((time, event), at: low)
    }

    private static func request(_ event: Planner.Event) -> Int? {
        switch event {
        case .blocks(let id, _, _), .progress(let id, _), .ended(let id, _): id
        default: nil
        }
    }

    private mutating func check(_ check: Planner.Check) {
        let (height, block, tip) = (check.height, check.block, planner.tip)
        let isKnown = tip + 1 == height || !(tip + 1..<height).contains { changes.contains($0) }
        let verdict: Planner.Verdict =
            if !isKnown {
                .unproven
            } else if block.isForked {
                .wrong
            } else {
                .proven(height, previous: Self.hash(height - 1))
            }
        add(.judged([.init(of: check, verdict)]), at: now + .milliseconds(1))
    }

    private mutating func answer(_ request: Planner.Request) {
        guard let peer = peers[request.from] else { return }
        var at = now + .milliseconds(10)
        func end(_ outcome: Planner.Outcome) { add(.ended(request: request.id, outcome), at: at) }
        switch peer {
        case .stalls, .claims: return
        case .fails: return end(.failed)
        case .lies: return end(.lied)
        case .busy: return end(.busy)
        default: break
        }
        for offset in 0..<Int64(request.count) {
            let height = request.first + offset
            guard peer.has(height) else { return end(.lacks(best: peer.best)) }
            if case .slow(_, let delay) = peer { at += delay }
            at += .microseconds(20)
            var isForked = false
            if case .forked(_, let from) = peer { isForked = height >= from }
            sent[request.from, default: 0] += 1
            let block = Sent(height: height, isForked: isForked)
            add(.blocks(request: request.id, first: height, [.init(block, size: 1000)]), at: at)
        }
        end(.done)
    }

    /// Runs until the planner has finished or `limit` has passed.
    mutating func run(_ limit: Duration = .seconds(3600)) {
        while finished == nil {
            let deadline = planner.deadline
            if let next = pending.last, deadline.map({ next.at <= $0 }) ?? true {
                guard next.at <= limit else { return }
                pending.removeLast()
                now = max(now, next.at)
                send(next.event)
            } else if let deadline {
                guard deadline <= limit else { return }
                now = max(now + .milliseconds(1), deadline)
                send(.timer)
            } else {
                return
            }
        }
    }
}
