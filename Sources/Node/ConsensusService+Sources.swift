import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// A committed block that is being fetched: from its announcer, and from others when that one keeps the node waiting.
@ReactorActor
final class BlockFetch {
    let commit: VerifiedCommit
    /// The announcer's stream.
    let stream: Stream
    private let before: Int
    private var others: [Task<Void, Never>] = []
    private var timer: Timer?
    /// What the newest source has sent; nil while that is the announcer.
    private var received: Int?

    init(_ commit: VerifiedCommit, on stream: Stream) {
        self.commit = commit
        self.stream = stream
        before = stream.bytesReceived
    }

    /// What the source that was asked last has sent.
    var bytes: Int { received ?? stream.bytesReceived - before }

    func asked(_ task: Task<Void, Never>) {
        received = 0
        others.append(task)
    }

    func received(_ bytes: Int) { received = bytes }

    func look(after wait: Duration, _ body: @escaping @ReactorActor () -> Void) {
        timer?.cancel()
        timer = Reactor.schedule(after: wait) { body() }
    }

    /// Ends what is still under way.
    func end() {
        timer?.cancel()
        for task in others { task.cancel() }
        stream.reset()
    }
}

/// Whom committed blocks are fetched from (docs/consensus.md, "Following").
extension ConsensusService {
    /// Waits for another announcer of a block if this one has let the node down lately. False when it is not wanted any
    /// more, or the peer has another announcement waiting.
    func hesitate(_ announcement: BlockAnnouncement, from peer: PeerID) async -> Bool {
        guard sources.isDoubtful(peer, now: Reactor.now) else { return true }
        guard hesitating.insert(peer).inserted else { return false }
        defer { hesitating.remove(peer) }
        try? await Reactor.sleep(for: BlockSources.hesitation)
        return fetches[announcement.hash] == nil && isWanted(announcement)
    }

    /// The announcer is being asked for the block on the stream of its announcement.
    func fetching(_ announcement: BlockAnnouncement, on stream: Stream) {
        guard let commit = commits[announcement.hash] else { return }
        endFetch(announcement.hash)
        sources.began(announcement.hash, from: stream.remotePeer, now: Reactor.now)
        fetches[announcement.hash] = BlockFetch(commit, on: stream)
        look(at: announcement.hash)
    }

    /// The block is here, or nobody waits for it any more.
    func endFetch(_ block: Hash) {
        sources.ended(block)
        fetches.removeValue(forKey: block)?.end()
    }

    /// Ends what is fetched of heights that are committed, by whatever way.
    func endFetches(upTo height: Int64) {
        for (block, fetch) in fetches where fetch.commit.height <= height { endFetch(block) }
    }

    private func look(at block: Hash) {
        fetches[block]?.look(after: BlockSources.patience / 2) { [weak self] in
            guard let self, !isStopped, let fetch = fetches[block] else { return }
            let holders = holders.peers(of: block).filter(context.host.isConnected)
            switch sources.step(block, bytes: fetch.bytes, holders: holders, now: Reactor.now) {
            case nil: endFetch(block)
            case .wait: look(at: block)
            case .ask(let peer, let blamed, let times):
                if let blamed { letDown(by: blamed, block, times: times) }
                ask(peer, fetch)
                look(at: block)
            }
        }
    }

    /// Twice may be a slow link: it is not first from then on, and has no reason to let the node down again.
    func letDown(by peer: PeerID, _ block: Hash, times: Int) {
        guard times > 0 else { return }
        context.log.info(
            "a peer does not send the block that it announced",
            ["peer": .of(peer), "block": .of(block), "times": .number(times)])
        if times > BlockSources.doubtful { context.host.report(peer, .stalling) }
    }

    private func ask(_ peer: PeerID, _ fetch: BlockFetch) {
        let commit = fetch.commit
        fetch.asked(
            Reactor.spawn {
                do {
                    let found = try await BlockProtocol.request(
                        commit.hash, from: peer, on: self.context.host, sizes: self.blockSizes
                    ) { fetch.received($0) }
                    // It has told of the block and may have lost it since: that is no offence.
                    guard let found else { return }
                    let block = try await self.check(found.block, expected: commit.hash)
                    self.feed(.decided(commit, block))
                    self.endFetch(commit.hash)
                } catch {
                    self.context.log.debug(
                        "announced block not sent by another peer",
                        ["peer": .of(peer), "block": .of(commit.hash), "reason": .error(error)])
                }
            })
    }

    /// The announcer did not send the block.
    func brokeOff(_ block: Hash, _ error: ProtocolsError, from peer: PeerID) {
        switch error {
        case .stream(.timedOut), .stream(.endOfStream), .stream(.streamReset):
            letDown(by: peer, block, times: sources.brokeOff(block, peer, now: Reactor.now))
        default: break
        }
    }
}
