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
    /// The announcer's stream, and when it was asked on it.
    let stream: Stream
    let asked = Reactor.now
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

    /// Whether the announcer has sent any of the block.
    var hasBegun: Bool { stream.bytesReceived > before }

    func asked(_ task: Task<Void, Never>) {
        received = 0
        others.append(task)
    }

    func received(_ bytes: Int) { received = bytes }

    func look(after wait: Duration, _ body: @escaping @ReactorActor () -> Void) {
        timer?.cancel()
        timer = Reactor.schedule(after: wait) { body() }
    }

    /// Asks nobody else any more.
    func endOthers() {
        timer?.cancel()
        for task in others { task.cancel() }
    }

    /// Ends what is still under way.
    func end() {
        endOthers()
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
        guard fetches[announcement.hash] == nil else { return false }
        return await isWanted(announcement)
    }

    /// Takes a committed block from its announcer, and from others when that one keeps the node waiting.
    func fetch(_ commit: VerifiedCommit, from offer: BlockOffer) async throws(ProtocolsError) {
        fetches.removeValue(forKey: commit.hash)?.end()
        sources.began(commit.hash, from: offer.peer, now: Reactor.now)
        let fetch = BlockFetch(commit, on: offer.stream)
        fetches[commit.hash] = fetch
        look(at: commit.hash)
        let block: Block
        do throws(ProtocolsError) {
            block = try await offer.take(limit: blockSizes.block)
        } catch {
            brokeOff(commit.hash, error, from: offer.peer)
            await handle(.decidedFetchFailed(commit.hash, from: offer.peer))
            throw error
        }
        // Another may have sent it before.
        guard fetches[commit.hash] === fetch else { return }
        sources.ended(commit.hash)
        if await take(block, for: commit, from: offer.peer) { endFetch(commit.hash) }
    }

    /// A committed block is here, and nothing of it checked. Returns whether it is the one.
    func take(_ block: Block, for commit: VerifiedCommit, from peer: PeerID) async -> Bool {
        do {
            await handle(.decided(commit, try await check(block, expected: commit.hash)))
            return true
        } catch {
            context.log.warning(
                "announced block refused",
                ["peer": .of(peer), "block": .of(commit.hash), "reason": .error(error)])
            await handle(.decidedFetchFailed(commit.hash, from: peer))
            return false
        }
    }

    /// The block is here, whoever has sent it. An announcer that has sent nothing of it is waited for.
    func endFetch(_ block: Hash) {
        sources.ended(block)
        guard let fetch = fetches.removeValue(forKey: block) else { return }
        let peer = fetch.stream.remotePeer
        guard !fetch.hasBegun, !isStopped, silent[peer] == nil, context.host.isConnected(peer) else {
            return fetch.end()
        }
        fetch.endOthers()
        silent[peer] = fetch
        awaitByte(of: peer)
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
            case nil: fetches.removeValue(forKey: block)?.end()
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
                    await self.handle(.decided(commit, block))
                    self.endFetch(commit.hash)
                } catch {
                    self.context.log.debug(
                        "announced block not sent by another peer",
                        ["peer": .of(peer), "block": .of(commit.hash), "reason": .error(error)])
                }
            })
    }

    /// The announcer did not send the block.
    private func brokeOff(_ block: Hash, _ error: ProtocolsError, from peer: PeerID) {
        switch error {
        case .stream(.timedOut), .stream(.endOfStream), .stream(.streamReset):
            letDown(by: peer, block, times: sources.brokeOff(block, peer, now: Reactor.now))
            guard let fetch = silent[peer], fetch.commit.hash == block else { break }
            endSilence(of: peer, withheld: fetch.hasBegun ? nil : block)
        default: break
        }
    }

    // MARK: Withheld blocks

    private func awaitByte(of peer: PeerID) {
        silent[peer]?.look(after: .milliseconds(250)) { [weak self] in
            guard let self, let fetch = silent[peer] else { return }
            switch sources.silence(asked: fetch.asked, hasSent: fetch.hasBegun, now: Reactor.now) {
            case .wait: awaitByte(of: peer)
            case .over: endSilence(of: peer)
            case .withholds: endSilence(of: peer, withheld: fetch.commit.hash)
            }
        }
    }

    private func endSilence(of peer: PeerID, withheld block: Hash? = nil) {
        silent.removeValue(forKey: peer)?.end()
        if let block { withheld(block, by: peer) }
    }

    /// Who is only slow would have sent something. Once may be an accident all the same: it takes several to be sent away.
    func withheld(_ block: Hash, by peer: PeerID) {
        context.log.info(
            "a peer withholds the block that it announced, which another has sent",
            [
                "peer": .of(peer), "block": .of(block),
                "times": .number(sources.withheld(peer, now: Reactor.now)),
            ])
        context.host.report(peer, .stalling)
    }

    /// A peer's last connection has ended.
    func peerGone(_ peer: PeerID) {
        holders.forget(peer)
        silent.removeValue(forKey: peer)?.end()
    }
}
