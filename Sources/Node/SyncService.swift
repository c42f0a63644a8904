import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Drives the catch-up planner: asks peers for blocks by height, proves what they send, and hands it to consensus.
@ReactorActor
final class SyncService {
    private let context: NodeContext
    private let consensus: ConsensusService
    private var planner: SyncPlanner<(VerifiedCommit, CheckedBlock)>
    private var timer: Timer?

    init(_ context: NodeContext, _ consensus: ConsensusService) {
        self.context = context
        self.consensus = consensus
        planner = SyncPlanner(tip: consensus.machine.state.height)
    }

    func start() {
        consensus.catchUp = { [weak self] height, peer in self?.feed(.start(target: height, from: peer)) }
    }

    func stop() { timer?.cancel() }

    func peerReady(_ peer: PeerID) { feed(.peer(peer, best: nil)) }
    func peerLeft(_ peer: PeerID) { feed(.peerGone(peer)) }
    func committed(_ height: Int64) { feed(.committed(height: height)) }

    private func feed(_ event: SyncPlanner<(VerifiedCommit, CheckedBlock)>.Event) {
        var actions: [SyncPlanner<(VerifiedCommit, CheckedBlock)>.Action] = []
        planner.handle(event, now: Reactor.now, actions: &actions)
        timer?.cancel()
        if let deadline = planner.deadline {
            timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in
                self?.feed(.timer)
            }
        }
        for action in actions {
            switch action {
            case .request(let height, let peer): request(height, peer)
            case .deliver(_, let (commit, block)): consensus.feed(.decided(commit, block))
            case .finished: consensus.feed(.syncFinished)
            }
        }
    }

    private func request(_ height: Int64, _ peer: PeerID) {
        Reactor.spawn {
            let answer: BlockHeightProtocol.Answer
            do throws(ProtocolsError) {
                answer = try await BlockHeightProtocol.request(height, from: peer, on: self.context.host)
            } catch {
                if error.isMisbehaviour { self.context.host.report(peer, .wrongContent) }
                return self.feed(
                    error.isMisbehaviour
                        ? .lied(height: height, from: peer) : .failed(height: height, from: peer))
            }
            guard let found = answer.found else {
                return self.feed(.notFound(height: height, from: peer, best: answer.bestHeight))
            }
            do {
                let proven = try await self.prove(found)
                self.feed(.block(height: height, proven, size: found.block.bytes.count, from: peer))
            } catch ConsensusError.unproven {
                self.feed(.failed(height: height, from: peer))
            } catch {
                self.context.logger.warning(
                    "block from peer is wrong",
                    metadata: ["peer": "\(peer)", "height": "\(height)", "error": "\(error)"])
                self.feed(.lied(height: height, from: peer))
            }
        }
    }

    /// Leader's signature and votes against the validators known now, then the block itself.
    private func prove(_ found: FetchedBlock) async throws -> (VerifiedCommit, CheckedBlock) {
        let state = consensus.machine.state
        let commit = try await context.checks.run {
            try VerifiedCommit(verifying: BlockAnnouncement(found.block, found.commitInfo), after: state)
        }
        return (commit, try await consensus.check(found.block, expected: commit.hash))
    }
}
