import Crypto
import Multiformats

/// Choosing peers and requests, and timeouts.
extension SyncPlanner {
    /// The maximum number of heights above the tip that are requested or held.
    public static var window: Int64 { 2048 }
    /// The maximum number of heights above the tip that are delivered, and the size of blocks after which no more are: what
    /// the machine holds (`ConsensusMachine.mostFollowing`).
    static var mostDelivered: Int64 { 2 &+ Int64(ConsensusMachine.mostFollowing) }
    static var deliveredBytes: Int { 2 * DecidedRun.mostBytes }
    /// The number of heights that collect at the window's far end before they are requested, because each new tip
    /// adds only one.
    static var worthAsking: Int { 64 }
    /// The maximum size of blocks held for delivery or requested, besides the next one, in bytes.
    public static var heldBytes: Int { 64 << 20 }
    /// The maximum number of concurrent requests for single blocks to one peer, once a block of that peer was proven.
    public static var requestsPerPeer: Int { 16 }
    /// The maximum number of concurrent range requests to one peer: the next is on its way when one ends.
    public static var rangesPerPeer: Int { 2 }
    /// The maximum number of blocks in a range.
    static var rangeCount: Int { 512 }
    /// The limits of a range's size in bytes. Between them, a range has the size that the peer sends in a second.
    static var rangeBytes: ClosedRange<Int> { 256 << 10...8 << 20 }
    /// The wait for an answer, or for the next 64 KiB or block of it, before another peer is asked; after twice as
    /// long the request is given up. Doubles with the peer's failures up to `longestPatience`, the time that
    /// docs/wire.md, section 7, gives a block to arrive.
    public static var patience: Duration { .seconds(4) }
    static var longestPatience: Duration { .seconds(90) }
    /// The wait between two pieces of an answer (docs/wire.md, section 7); doubles in the same way.
    static var idle: Duration { .milliseconds(500) }
    static var longestIdle: Duration { .seconds(16) }
    /// The wait for the next block before an idle peer is asked for it too.
    static var hedge: Duration { .seconds(2) }
    /// The time for which a failing peer is set aside at first; doubles up to `longestSetAside`.
    static var setAside: Duration { .seconds(1) }
    static var longestSetAside: Duration { .seconds(60) }
    /// The time for which a busy peer is left alone; doubles while it stays busy, up to `longestBusyAside`.
    static var busyAside: Duration { .milliseconds(500) }
    static var longestBusyAside: Duration { .seconds(8) }
    /// The number of "busy" answers in a row that count as one failure.
    static var refusalsWeigh: Int { 3 }
    /// The wait before an unreached target is tried again; doubles up to `longestRetryWait`.
    static var retryWait: Duration { .seconds(10) }
    static var longestRetryWait: Duration { .seconds(300) }
    /// The speed, in bytes per second, from which on compression costs more time than it saves.
    static var fast: Int { 64 << 20 }

    /// When `timer` is due; nil for never.
    public var deadline: Duration? {
        // Specialized as `handle` is: it is read after each event.
        @specialized(where Fetched == SyncCandidate, Proven == DecidedBlock)
        get {
            guard target != nil else { return retry?.at }
            let aside = peers.values.lazy.compactMap { $0.asideUntil }.min()
            let request = running.values.lazy.filter { !$0.isCancelled }.map { $0.giveUp ?? $0.due }.min()
            let claim = peers.values.lazy.compactMap { claimEnd(of: $0) }.min()
            var hedge: Duration?
            if let head = slots.first, case .asked(let id) = head, let request = running[id], hasIdlePeer {
                hedge = request.moved + Self.hedge
            }
            return [aside, request, claim, hedge].lazy.compactMap { $0 }.min()
        }
    }

    /// The number of known peers.
    public var peerCount: Int { peers.count }

    /// The size of the blocks that are held or arriving, in bytes.
    public var bytesUnderWay: Int { running.values.reduce(heldSize) { $0 + $1.arriving } }
    /// The maximum of `bytesUnderWay`: the limit is exceeded only by bytes that arrive between two checks of a
    /// request, and by the next block.
    public var mostBytesUnderWay: Int {
        Self.heldBytes + 2 * largestBlock + running.count * Self.slackBytes
    }
    /// The size of the blocks that are delivered but not committed, in bytes.
    public var bytesDelivered: Int { uncommittedSize }
    /// The maximum of `bytesDelivered`.
    public var mostBytesDelivered: Int { Self.deliveredBytes + 2 * largestBlock }
    /// The size of a request's blocks that arrive between two events, in bytes.
    static var slackBytes: Int { 128 << 10 }

    /// Returns the height of the block that a request brings next; nil when it has ended.
    public func nextHeight(of request: Int) -> Int64? { running[request]?.next }

    /// Returns whether the answer to a check would still be of use.
    public func isChecking(_ check: Check) -> Bool {
        let place = check.height &- delivered &- 1
        guard place >= 0, place < Int64(slots.count) else { return false }
        if case .checking(check.id, _, _, _, _) = slots[Int(place)] { return true }
        return false
    }

    /// Returns the indexes of heights in the window.
    func indices(_ heights: ClosedRange<Int64>) -> Range<Int> {
        let first = max(heights.lowerBound &- delivered &- 1, 0)
        let last = min(heights.upperBound &- delivered, Int64(slots.count))
        return first < last ? Int(first)..<Int(last) : 0..<0
    }

    /// Allows other peers to be asked for the blocks that a request has not brought.
    mutating func release(_ id: Int) {
        guard var request = running[id], !request.isLate else { return }
        request.isLate = true
        running[id] = request
        peers[request.from]?.late += 1
        for index in indices(request.next...max(request.next, request.last)) {
            if case .asked(id) = slots[index] { slots[index] = .empty }
        }
    }

    mutating func cancel(_ id: Int, _ actions: inout [Action]) {
        guard running[id]?.isCancelled == false else { return }
        release(id)
        running[id]?.isCancelled = true
        actions.append(.cancel(request: id))
    }

    mutating func plan(_ now: Duration, _ actions: inout [Action]) {
        if target == nil, let due = retry, due.at <= now {
            // Doubtful peers get one more chance.
            for (id, peer) in peers where peer.isDoubtful { peers[id]?.giveChance(now, tip) }
            if due.target > tip { target = due.target }
            retry = nil
        }
        guard target != nil else { return }
        forgetClaims(now, &actions)
        guard let target else { return }
        if tip >= target { return finish(true, now, &actions) }
        for (id, peer) in peers {
            if let until = peer.asideUntil, until <= now { peers[id]?.asideUntil = nil }
        }
        giveUpStalled(now, &actions)
        deliver(&actions)
        let wanted = min(target &- delivered, Self.window &- (delivered &- tip))
        while Int64(slots.count) < wanted { slots.append(.empty) }
        ask(target, now, &actions)
        if delivered == tip, case .empty? = slots.first,
            !peers.values.contains(where: { !$0.isDoubtful && !$0.ways.isEmpty && $0.has(tip &+ 1) })
        {
            finish(false, now, &actions)
        }
    }

    /// Delivers the next blocks that are proven, at least two above the tip: one to execute, one to follow at once.
    private mutating func deliver(_ actions: inout [Action]) {
        var blocks: [Proven] = []
        while delivered < tip &+ 2
            || (delivered < tip &+ Self.mostDelivered && uncommittedSize < Self.deliveredBytes),
            case .proven(let block, _, let size)? = slots.first
        {
            slots.removeFirst()
            heldSize -= size
            uncommitted.append(size)
            uncommittedSize += size
            delivered += 1
            blocks.append(block)
        }
        guard !blocks.isEmpty else { return }
        actions.append(.deliver(first: delivered &+ 1 &- Int64(blocks.count), blocks))
    }

    private var hasIdlePeer: Bool {
        peers.values.contains {
            $0.requests == 0 && $0.asideUntil == nil && !$0.ways.isEmpty && $0.has(delivered &+ 1)
        }
    }

    private mutating func giveUpStalled(_ now: Duration, _ actions: inout [Action]) {
        for (id, request) in running where !request.isCancelled {
            if let giveUp = request.giveUp {
                if giveUp <= now { cancel(id, &actions) }
            } else if request.due <= now {
                release(id)
                running[id]?.giveUp = now + (request.due - request.moved)
                guard var peer = peers[request.from] else { continue }
                fail(&peer, request.from, now, &actions)
                peers[request.from] = peer
            }
            // A late request whose blocks others have brought is no longer needed. A peer that has proven nothing may
            // first show whether it sends any.
            let isIdle = request.bytes + request.arriving == 0 && peers[request.from]?.hasProven == false
            if running[id]?.isLate == true, running[id]?.isCancelled == false, request.last <= delivered,
                !isIdle || running[id]?.isOverdue == true
            {
                cancel(id, &actions)
            }
        }
        // Everything waits for the next block: an idle peer may be quicker.
        if case .asked(let id)? = slots.first, let request = running[id], request.moved + Self.hedge <= now,
            hasIdlePeer
        {
            release(id)
        }
    }

    /// Returns the expected size of a request's blocks: by the average size, or by the maximum if their sender has
    /// proven nothing, and at least the bytes that have arrived.
    private func expected(_ request: Running) -> Int {
        if request.isLate { return request.arriving }
        return max(request.arriving, request.expected - request.bytes, 0)
    }

    /// Requests missing blocks, the lowest heights first, while there is room and a peer to ask.
    private mutating func ask(_ target: Int64, _ now: Duration, _ actions: inout [Action]) {
        var promised = running.values.reduce(0) { $0 + expected($1) }
        let last = Set(peers.keys.filter { letDowns.count(of: $0, now: now) >= Self.unreliable })
        var index = 0
        while index < slots.count {
            guard case .empty = slots[index] else {
                index += 1
                continue
            }
            var run = 1
            while index + run < slots.count, case .empty = slots[index + run] { run += 1 }
            let room = Self.heldBytes - heldSize - promised
            guard index == 0 || room > 0 else { return }
            let height = delivered &+ 1 &+ Int64(index)
            let isWindowEnd = index + run == slots.count && height &+ Int64(run) <= target
            if isWindowEnd, run < Self.worthAsking, index > slots.count / 2 { return }
            var hash: Hash?
            if run == 1, index + 1 < slots.count, case .proven(_, let previous, _) = slots[index + 1] {
                hash = previous
            }
            guard let (id, way) = choose(height, knowsHash: hash != nil, last) else {
                index += min(run, nextFloor(above: height).map { Int(clamping: $0 &- height) } ?? run)
                continue
            }
            let most = way == .range ? min(run, max(1, room / averageSize)) : 1
            let request = makeRequest(height, most, id, way, way == .hash ? hash : nil)
            for taken in index..<index + request.count { slots[taken] = .asked(request: request.id) }
            let average = request.count * averageSize
            let expected = peers[id]?.hasProven == true ? average : max(average, largestBlock)
            running[request.id] = Running(
                from: id, next: height, last: height &+ Int64(request.count) &- 1, began: now, moved: now,
                due: now + request.patience, expected: expected)
            peers[id]?.requests += 1
            promised += expected
            actions.append(.request(request))
            index += request.count
        }
    }

    /// Returns the lowest height above `height` at which the blocks of some peer begin.
    private func nextFloor(above height: Int64) -> Int64? {
        peers.values.lazy.map { $0.floor }.filter { $0 > height }.min()
    }

    private mutating func makeRequest(
        _ height: Int64, _ most: Int, _ id: PeerID, _ way: Ways, _ hash: Hash?
    ) -> Request {
        let peer = peers[id] ?? Peer(ways: way)
        let bytes =
            peer.speed == 0
            ? 2 * Self.rangeBytes.lowerBound
            : min(max(peer.speed, Self.rangeBytes.lowerBound), Self.rangeBytes.upperBound)
        // The missing blocks are shared among the peers that can help, twice over, so that none has the last ones for
        // long.
        let helpers = peers.values.reduce(0) { $0 + ($1.asideUntil == nil && $1.has(height) ? 1 : 0) }
        let share = max(8, most / max(1, 2 * helpers))
        var count = min(most, Self.rangeCount, max(1, bytes / averageSize), share)
        if let best = peer.best { count = min(count, max(1, Int(clamping: best &- height &+ 1))) }
        lastID += 1
        return Request(
            id: lastID, from: id, first: height, count: count, bytes: bytes, way: way, hash: hash,
            compressed: peer.speed < Self.fast, patience: peer.patience,
            idle: min(Self.idle * (1 << min(peer.failures, 5)), Self.longestIdle))
    }

    /// Returns the least busy peer that may have the height, and how to ask it; among equals the one with fewer
    /// failures, then the more trusted, the faster, the older. Peers in `last`, which failed to deliver lately, are
    /// chosen only if no other peer can be asked for the height or is sending requested blocks.
    private func choose(_ height: Int64, knowsHash: Bool, _ last: Set<PeerID>) -> (PeerID, Ways)? {
        var best: (id: PeerID, way: Ways, peer: Peer)?
        let others =
            !last.isEmpty
            && peers.contains {
                !last.contains($0.key) && !$0.value.isDoubtful && $0.value.canBeAsked && $0.value.has(height)
                    && $0.value.asideUntil == nil && $0.value.late == 0
                    && ($0.value.hasProven || $0.value.requests < $0.value.mostRequests)
            }
        for (id, peer) in peers where peer.asideUntil == nil && peer.late == 0 && peer.has(height) {
            if others, last.contains(id) { continue }
            let way: Ways
            if knowsHash, peer.ways.contains(.hash) {
                way = .hash
            } else if peer.ways.contains(.range) {
                way = .range
            } else if peer.ways.contains(.height) {
                way = .height
            } else {
                continue
            }
            guard peer.requests < peer.mostRequests else { continue }
            if let other = best,
                (peer.requests, peer.failures, -peer.trust, -peer.speed)
                    >= (other.peer.requests, other.peer.failures, -other.peer.trust, -other.peer.speed)
            {
                continue
            }
            best = (id, way, peer)
        }
        return best.map { ($0.id, $0.way) }
    }

    mutating func finish(_ reached: Bool, _ now: Duration, _ actions: inout [Action]) {
        if !reached, let target {
            retry = (target, now + retryWait)
            retryWait = min(retryWait * 2, Self.longestRetryWait)
        }
        target = nil
        for (id, peer) in peers {
            // A peer that withdraws its claim keeps its record, in case it claims the same again.
            guard let claim = peer.claim, reached || claim.tries == 0 || claim.height <= tip else { continue }
            peers[id]?.claim = nil
        }
        for id in running.keys { cancel(id, &actions) }
        slots = []
        heldSize = 0
        uncommitted = []
        uncommittedSize = 0
        delivered = tip
        actions.append(.finished(reached: reached))
    }
}
