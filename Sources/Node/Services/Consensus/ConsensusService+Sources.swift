import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// The fetch of a committed block: from its announcer, and from others if the announcer is slow.
@ReactorActor
final class BlockFetch {
    let commit: VerifiedCommit
    /// The announcer's stream, and when the announcer was asked.
    let stream: Stream
    let asked = Reactor.now
    private let before: Int
    private var others: [Task<Void, Never>] = []
    private var timer: Timer?
    /// The bytes from the latest source; nil while that is the announcer.
    private var received: Int?

    init(_ commit: VerifiedCommit, on stream: Stream) {
        self.commit = commit
        self.stream = stream
        before = stream.bytesReceived
    }

    /// The bytes that the latest source has sent.
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

    /// Stops asking others than the announcer.
    func endOthers() {
        timer?.cancel()
        for task in others { task.cancel() }
    }

    /// Ends the fetch.
    func end() {
        endOthers()
        stream.reset()
    }
}

/// Fetching committed blocks (docs/consensus.md, "A height").
extension ConsensusService {
    /// Waits for another announcer of a block if this one failed repeatedly lately. Returns false if the block is no
    /// longer wanted, or another announcement of the peer is waiting.
    func hesitate(_ announcement: BlockAnnouncement, from peer: PeerID) async -> Bool {
        guard sources.isDoubtful(peer, now: Reactor.now) else { return true }
        guard hesitating.insert(peer).inserted else { return false }
        defer { hesitating.remove(peer) }
        try? await Reactor.sleep(for: BlockSources.hesitation)
        guard fetches[announcement.hash] == nil else { return false }
        return await isWanted(announcement)
    }

    /// Fetches a committed block from its announcer, and from others if the announcer is slow.
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
        note(body: block, from: offer.peer)
        // Another peer may have sent it before.
        guard fetches[commit.hash] === fetch else {
            return context.metrics.duplicates[.block].add()
        }
        sources.ended(commit.hash)
        if await take(block, for: commit, from: offer.peer) { endFetch(commit.hash) }
    }

    /// Checks a committed block and passes it to the machine. Returns whether it is the right one.
    func take(_ block: Block, for commit: VerifiedCommit, from peer: PeerID) async -> Bool {
        do {
            let checked = try await check(block, expected: commit.hash)
            note(.verified, commit.height, commit.hash)
            await handle(.decided(commit, checked))
            return true
        } catch {
            context.log.warning(
                "announced block refused",
                ["peer": .of(peer), "block": .of(commit.hash), "reason": .error(error)])
            await handle(.decidedFetchFailed(commit.hash, from: peer))
            return false
        }
    }

    /// Ends the fetch of a block that has arrived from any peer. If the announcer has sent nothing yet, its first byte
    /// is awaited.
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

    /// Ends the fetches of committed heights.
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

    /// Logs a peer's failure. Two failures may be due to a slow link; from then on the peer is not asked first, so a
    /// third one is reported.
    func letDown(by peer: PeerID, _ block: Hash, times: Int) {
        guard times > 0 else { return }
        context.log.info(
            "a peer does not send a block that it announced",
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
                    // The peer may have lost the block since it announced it, which is no offence.
                    guard let found else { return }
                    self.note(body: found.block, from: peer)
                    let block = try await self.check(found.block, expected: commit.hash)
                    self.note(.verified, commit.height, commit.hash)
                    await self.handle(.decided(commit, block))
                    self.endFetch(commit.hash)
                } catch {
                    self.context.log.debug(
                        "announced block not sent by another peer",
                        ["peer": .of(peer), "block": .of(commit.hash), "reason": .error(error)])
                }
            })
    }

    /// Handles an announcer's failure to send the block.
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

    /// Reports a peer that withheld a block. A slow peer would have sent something. It may still be an accident, so
    /// only repetition ends the connection.
    func withheld(_ block: Hash, by peer: PeerID) {
        context.log.info(
            "a peer withholds a block that it announced and another peer has sent",
            [
                "peer": .of(peer), "block": .of(block),
                "times": .number(sources.withheld(peer, now: Reactor.now)),
            ])
        context.host.report(peer, .stalling)
    }

    /// Forgets a peer whose last connection has ended.
    func peerGone(_ peer: PeerID) {
        holders.forget(peer)
        silent.removeValue(forKey: peer)?.end()
    }
}
