import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Peers
import Protocols
import Reactor

/// Drives the sync planner: requests blocks from peers, verifies them, and passes them to consensus (docs/consensus.md,
/// "Catching up").
///
/// Some blocks are verified at once, the lowest first, and small ones in common jobs.
@ReactorActor
final class SyncService: Service {
    private typealias Planner = SyncPlanner<SyncCandidate, DecidedBlock>

    /// The size of a block, in bytes, up to which it is verified together with others.
    private nonisolated static let smallBlock = 32 << 10
    /// The number of small blocks, or of as many bytes of large ones, that are verified at once, for each thread: some 20 ms of
    /// work, so that the threads have enough to do when the reactor has to wait for a processor.
    private nonisolated static let atOnce = 256

    /// Blocks that are verified together.
    private struct Unverified {
        let checks: [Planner.Check]
        let arrival: Duration

        var cost: Int { checks.reduce(0) { $0 + max($1.size / SyncService.smallBlock, 1) } }
    }

    private let context: NodeContext
    private let consensus: ConsensusService
    private let peers: PeerService
    private let driver: ReactorMachineDriver<Planner>
    private var requests: [Int: Task<Void, Never>] = [:]
    /// The blocks that the planner wants to be verified.
    private var unverified: VerificationQueue<Unverified>
    /// The hashes of the validators and the parameters at the tip.
    private var rules: [Hash]

    /// The bytes of blocks that are arriving, held, or delivered and not committed, and their maximum.
    var bytes: (held: Int, limit: Int) {
        let planner = driver.machine
        return (
            planner.bytesUnderWay + planner.bytesDelivered,
            planner.mostBytesUnderWay + planner.mostBytesDelivered
        )
    }

    /// The number of blocks, or groups of small ones, that wait to be verified, and its maximum.
    var waiting: (count: Int, limit: Int) { (unverified.count, Int(Planner.window)) }

    /// The height to sync to; nil if nothing is to be fetched.
    var target: Int64? { driver.machine.target }

    /// The number of peers that the planner tracks.
    var peerCount: Int { driver.machine.peerCount }

    init(_ context: NodeContext, _ consensus: ConsensusService, _ peers: PeerService) {
        self.context = context
        self.consensus = consensus
        self.peers = peers
        // One more thread helps with jobs of high priority.
        unverified = VerificationQueue(limit: Self.atOnce * (context.checks.kind.threads + 1))
        let state = consensus.view.state
        driver = ReactorMachineDriver(
            Planner(tip: state.height), wallClock: context.wallClock,
            onBrokenInvariant: context.observer.brokenInvariant)
        rules = [state.validatorSetHash, state.parametersHash]
    }

    /// Serves until cancelled, then cancels all requests.
    func run() async throws {
        driver.start { [weak self] in self?.perform($0) }
        tellSizes()
        defer {
            driver.stop()
            for id in requests.keys.sorted() { requests[id]?.cancel() }
        }
        try await ServiceEnd().wait()
    }

    /// Starts to sync to a height that a peer has committed. A peer that has left meanwhile cannot be asked.
    func catchUp(to height: Int64, from peer: PeerID) {
        if context.host.isConnected(peer) {
            driver.submit(.start(target: height, from: peer))
        } else if driver.machine.target == nil {
            consensus.feed(.syncFinished)
        }
    }

    /// Notes that the block at a height is proven to be committed.
    func proven(_ height: Int64) { driver.submit(.heightProven(height)) }

    func peerReady(_ peer: PeerID) {
        let spoken = Set(context.host.identity(of: peer)?.protocols ?? [])
        var ways: Planner.Ways = []
        if spoken.contains(BlockRangeProtocol.id) { ways.insert(.range) }
        if !spoken.isDisjoint(with: [BlockHeightProtocol.id, BlockHeightProtocol.idWithBest]) {
            ways.insert(.height)
        }
        if spoken.contains(BlockProtocol.id) { ways.insert(.hash) }
        driver.submit(.peer(peer, ways, trust: peers.rank(of: peer).trust))
    }

    func peerGone(_ peer: PeerID) { driver.submit(.peerGone(peer)) }

    func committed(_ height: Int64) {
        let state = consensus.view.state
        let before = rules
        rules = [state.validatorSetHash, state.parametersHash]
        if rules != before { tellSizes() }
        driver.submit(.committed(height: height, newRules: rules != before))
        forgetUnwanted()
    }

    private func tellSizes() {
        let sizes = consensus.blockSizes
        driver.submit(.largestBlock(sizes.block + sizes.commitInfo))
    }

    private func perform(_ action: Planner.Action) {
        switch action {
        case .request(let request): start(request)
        case .cancel(let id): requests[id]?.cancel()
        case .check(let checks): check(checks)
        case .deliver(_, let blocks): consensus.feed(.synced(blocks))
        case .stalled(let peer):
            context.log.info(
                "a peer does not send the blocks that it claims to have", ["peer": .of(peer)])
            context.host.report(peer, .stalling)
        case .finished:
            forgetUnwanted()
            consensus.feed(.syncFinished)
        }
    }

    // MARK: Asking

    private func start(_ request: Planner.Request) {
        requests[request.id] = Reactor.spawn {
            let sizes = self.consensus.blockSizes
            let outcome: Planner.Outcome
            do throws(ProtocolsError) {
                outcome = try await self.ask(request, sizes)
            } catch {
                outcome = self.outcome(of: error, request, sizes)
                self.context.log.debug(
                    "block request failed",
                    [
                        "peer": .of(request.from), "height": .number(request.first), "reason": .error(error),
                    ])
            }
            self.requests[request.id] = nil
            self.driver.submit(.ended(request: request.id, outcome))
            if case .lied = outcome { self.forgetUnwanted() }
        }
    }

    private func outcome(
        of error: ProtocolsError, _ request: Planner.Request, _ sizes: BlockSizes
    ) -> Planner.Outcome {
        switch error {
        case .busy: return .busy
        // A later block may be larger under other rules; so may this one, if the rules have changed meanwhile.
        case .stream(.tooLarge)
        where driver.machine.nextHeight(of: request.id) != driver.machine.tip &+ 1
            || sizes != consensus.blockSizes:
            return .failed
        default:
            guard let what = Misbehaviour.ofResponder(error) else { return .failed }
            context.host.report(request.from, what, because: error)
            return .lied
        }
    }

    private func ask(
        _ request: Planner.Request, _ sizes: BlockSizes
    ) async throws(ProtocolsError) -> Planner.Outcome {
        let (host, peer, height) = (context.host, request.from, request.first)
        let progress: @ReactorActor (Int) -> Void = {
            self.driver.submit(.progress(request: request.id, bytes: $0))
        }
        func take(_ found: FetchedBlock) {
            let size = found.block.bytes.count
            let candidate = SyncCandidate(from: peer) { (found.block, found.commitInfo) }
            driver.submit(.blocks(request: request.id, first: height, [.init(candidate, size: size)]))
        }
        if request.way == .range { return try await askRange(request, sizes, progress) }
        if let hash = request.hash {
            guard
                let found = try await BlockProtocol.request(
                    hash, from: peer, on: host, sizes: sizes, progress: progress)
            else {
                return .lacks(best: nil)
            }
            take(found)
        } else {
            let answer = try await BlockHeightProtocol.request(
                height, from: peer, on: host, sizes: sizes, progress: progress)
            guard let found = answer.found else { return .lacks(best: answer.bestHeight) }
            take(found)
        }
        return .done
    }

    private func askRange(
        _ request: Planner.Request, _ sizes: BlockSizes, _ progress: @escaping @ReactorActor (Int) -> Void
    ) async throws(ProtocolsError) -> Planner.Outcome {
        let peer = request.from
        let end = try await BlockRangeProtocol.request(
            BlockRangeRequest(
                first: request.first, count: request.count, bytes: request.bytes,
                allowsLZ4: request.compressed),
            from: peer, on: context.host, sizes: sizes,
            patience: .init(answer: request.patience, idle: request.idle)
        ) { piece in
            switch piece {
            case .progress(let bytes): progress(bytes)
            case .blocks(let blocks):
                guard let first = blocks.first?.height else { return }
                let arrivals = blocks.map { block in
                    let candidate = SyncCandidate(from: peer) {
                        let found = try block.decoded()
                        return (found.block, found.commitInfo)
                    }
                    return Planner.Arrival(candidate, size: block.commitInfo.count + block.blockCount)
                }
                self.driver.submit(.blocks(request: request.id, first: first, arrivals))
            }
        }
        return switch end.reason {
        case .done: .done
        case .lacks: .lacks(best: end.bestHeight)
        case .busy: .busy
        }
    }

    // MARK: Proving

    private func check(_ checks: [Planner.Check]) {
        let small = checks.filter { $0.size <= Self.smallBlock }
        let large = checks.filter { $0.size > Self.smallBlock }.map { [$0] }
        for some in [small] + large {
            guard let first = some.first else { continue }
            unverified.add(Unverified(checks: some, arrival: Reactor.now), height: first.height)
        }
        verifyNext()
    }

    private func verifyNext() {
        while let next = unverified.begin(cost: \.cost) {
            Reactor.spawn {
                await self.verify(next)
                self.unverified.end(cost: next.cost)
                self.verifyNext()
            }
        }
    }

    private func verify(_ blocks: Unverified) async {
        let checks = blocks.checks.filter { driver.machine.isChecking($0) }
        let state = consensus.view.state
        guard !checks.isEmpty,
            let results = try? await consensus.verifier.verify(after: state, checks.map(\.block))
        else { return }
        var provers: Set<PeerID> = []
        var isAnyWrong = false
        let judgements = zip(checks, results).map { check, result in
            let verdict = self.verdict(check, result, after: state, blocks.arrival)
            switch verdict {
            case .proven where check.height > consensus.view.state.height: provers.insert(check.block.from)
            case .wrong: isAnyWrong = true
            case .proven, .unproven: break
            }
            return Planner.Judgement(of: check, verdict)
        }
        for peer in provers.sorted() { peers.proved(peer) }
        driver.submit(.judged(judgements))
        if isAnyWrong { forgetUnwanted() }
    }

    /// Forgets blocks that the planner no longer wants: they are committed, or their peer has lied.
    private func forgetUnwanted() {
        let planner = driver.machine
        unverified.removeAll { blocks in !blocks.checks.contains { planner.isChecking($0) } }
    }

    private func verdict(
        _ check: Planner.Check, _ result: Result<DecidedBlock, any Error>, after state: ChainState,
        _ arrival: Duration
    ) -> Planner.Verdict {
        let peer = check.block.from
        do {
            let decided = try result.get()
            let block = decided.block
            consensus.note(.body, block.height, block.hash, at: arrival)
            consensus.note(body: block.block, from: peer)
            consensus.note(.verified, block.height, block.hash)
            return .proven(decided, previous: block.header.previousHash)
        } catch ConsensusError.unproven where state.height &+ 1 != check.height {
            // If the block is honest, an earlier one introduces the rules that it was made under.
            return .unproven
        } catch ConsensusError.unproven {
            // The block belongs to another network, or to validators that this node will never know: no lie.
        } catch let error as ConsensusError {
            consensus.penalize(peer, error)
        } catch {
            context.log.debug(
                "block cannot be decoded",
                ["peer": .of(peer), "height": .number(check.height), "reason": .error(error)])
            context.host.report(peer, .wrongContent)
        }
        return .wrong
    }
}
