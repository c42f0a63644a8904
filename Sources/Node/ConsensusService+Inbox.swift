import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import Storage

/// What peers bring: whose signatures count is decided here, and they are checked before anything else is done.
extension ConsensusService: ConsensusInbox {
    /// By the rules at the tip: those of the next block, and most often of the ones after it.
    var blockSizes: BlockSizes {
        BlockSizes(machine.state.parameters, validators: machine.state.validators.count)
    }

    func mayWant(_ proposal: BlockProposal, from peer: PeerID) -> Bool {
        machine.wantsToCheck(proposal, from: peer, now: Reactor.now)
    }

    func proposed(_ proposal: BlockProposal, from peer: PeerID) async -> ConsensusVerdict {
        let height = machine.state.height
        guard proposal.height <= height &+ 2 else {
            feed(.ahead(height: proposal.height &- 1, isOwn: false, from: peer))
            return .ignore
        }
        // One signature, and none for what is being fetched already: not worth a worker.
        let verified = machine.signers(ofProposalsFrom: peer).lazy
            .compactMap { try? VerifiedProposal(verifying: proposal, leader: $0) }.first
        guard let verified else {
            // Above the next height another leader may count, who is not known yet.
            guard proposal.height <= height &+ 1, !isCandidate(peer, signing: proposal) else {
                return .ignore
            }
            return forged(.notSignedByLeader(proposal.hash), by: peer)
        }
        switch ask({ $0.admit(verified, from: peer, at: $1, actions: &$2) }) {
        case .ignore: return .ignore
        case .fetch: return .fetch
        case .askOthersFirst: return await fetchElsewhere(proposal, except: peer) == .fetch ? .fetch : .ignore
        }
    }

    /// A validator that proposes in its own name may be one whose promotion this node was not told of; and the old
    /// leader may not know of the one that was.
    private func isCandidate(_ peer: PeerID, signing proposal: BlockProposal) -> Bool {
        let state = machine.state
        let keys = state.validators.keys + [state.leader].compactMap { $0 }
        return keys.first { $0.peerID == peer }.map(proposal.verify) ?? false
    }

    private func forged(_ error: ConsensusError, by peer: PeerID) -> ConsensusVerdict {
        penalize(peer, error)
        return .forged
    }

    /// Tells the machine while the block comes: one that is large is not one that is withheld.
    func fetching(_ proposal: BlockProposal, on stream: Stream) {
        let peer = stream.remotePeer
        Reactor.spawn { [weak self, weak stream] in
            var told = 0
            while self?.isFetching(proposal, from: peer) ?? false {
                try? await Reactor.sleep(for: .milliseconds(500))
                guard let bytes = stream?.bytesReceived, bytes - told >= Self.progressBytes else { continue }
                told = bytes
                self?.feed(.proposalArriving(proposal.hash, from: peer))
            }
        }
    }

    private func isFetching(_ proposal: BlockProposal, from peer: PeerID) -> Bool {
        !isStopped && machine.awaits(proposal.hash, from: peer)
    }

    func received(_ block: Block, for proposal: BlockProposal, from peer: PeerID) async {
        _ = await take(block, for: proposal, from: peer)
    }

    /// A proposal's block is here, whoever has sent it. Returns whether it is to be fetched from its announcer all the same.
    func take(_ block: Block, for proposal: BlockProposal, from announcer: PeerID) async -> Admission {
        // What two peers sent counts once.
        guard machine.awaits(proposal.hash) else { return .ignore }
        context.observer.downloaded(block)
        do {
            let checked = try await check(block, expected: proposal.hash)
            feed(.proposalFetched(checked, from: announcer))
        } catch ConsensusError.invalidBlock(_, let reason) {
            feed(.proposalInvalid(block, reason: reason))
        } catch {
            return failed(proposal, from: announcer)
        }
        return .ignore
    }

    func failed(_ proposal: BlockProposal, _ error: ProtocolsError, from peer: PeerID) {
        _ = failed(proposal, from: peer)
    }

    /// A proposal's block did not come. Returns whether it is to be fetched from its announcer all the same.
    func failed(_ proposal: BlockProposal, from announcer: PeerID) -> Admission {
        ask { $0.proposalFetchFailed(proposal.hash, from: announcer, at: $1, actions: &$2) }
    }

    func mayWant(_ announcement: BlockAnnouncement, from peer: PeerID) -> Bool {
        if announcement.hash == machine.state.hash { feed(.announcedAgain(from: peer)) }
        if announcement.height > machine.state.height, context.host.isConnected(peer) {
            holders.note(
                peer, has: announcement.hash, at: announcement.height, isTrusted: rank(peer) != .stranger)
        }
        return isWanted(announcement)
    }

    func isWanted(_ announcement: BlockAnnouncement) -> Bool {
        machine.wantsToCheck(announcementOf: announcement.hash, height: announcement.height)
    }

    /// The votes of a hundred validators take milliseconds: they are checked on the worker, for one of those who
    /// announce a block at a time, and for the next only if the one before brought wrong ones.
    func announced(_ announcement: BlockAnnouncement, from peer: PeerID) async -> ConsensusVerdict {
        guard announcement.header.height == announcement.height else {
            return forged(.mismatch("an announcement of another height than its block's"), by: peer)
        }
        guard
            machine.canProve(announcement.header)
                || machine.wouldProve(announcement.header, now: Reactor.now)
        else {
            // Whom to ask, and no more: the key may have served an earlier chain.
            let isOwn = machine.roleName == .leader && announcement.verify(context.key.publicKey)
            feed(.ahead(height: announcement.height, isOwn: isOwn, from: peer))
            return .ignore
        }
        guard await hesitate(announcement, from: peer) else {
            return sources.tests(peer, now: Reactor.now) ? .test : .ignore
        }
        let isTrusted = rank(peer) != .stranger
        guard await announcementChecks.enter(announcement.hash, by: peer, isTrusted: isTrusted) else {
            return .ignore
        }
        defer { announcementChecks.leave(announcement.hash, by: peer) }
        let state = machine.state
        guard isWanted(announcement), state.isBasis(of: announcement.header) else { return .ignore }
        do {
            let commit = try await context.checks.run {
                try VerifiedCommit(verifying: announcement, after: state)
            }
            onProof?(commit.height)
            guard ask({ $0.admit(commit, from: peer, at: $1, actions: &$2) }) == .fetch else {
                return .ignore
            }
            keep(commit)
            return .fetch
        } catch let error as ConsensusError {
            return forged(error, by: peer)
        } catch {
            return .ignore
        }
    }

    /// Its block is about to be fetched.
    func keep(_ commit: VerifiedCommit) {
        if commits.count >= Self.keptCommits { commits.removeAll() }
        commits[commit.hash] = commit
    }

    func received(_ block: Block, for announcement: BlockAnnouncement, from peer: PeerID) async {
        guard let commit = commits.removeValue(forKey: announcement.hash) else { return }
        sources.ended(announcement.hash)
        do {
            feed(.decided(commit, try await check(block, expected: announcement.hash)))
            endFetch(announcement.hash)
        } catch {
            context.log.warning(
                "announced block refused",
                ["peer": .of(peer), "block": .of(announcement.hash), "reason": .error(error)])
            feed(.decidedFetchFailed(announcement.hash, from: peer))
        }
    }

    func failed(_ announcement: BlockAnnouncement, _ error: ProtocolsError, from peer: PeerID) {
        commits[announcement.hash] = nil
        brokeOff(announcement.hash, error, from: peer)
        feed(.decidedFetchFailed(announcement.hash, from: peer))
    }

    func hinted(height: Int64, hash: Hash, from peer: PeerID) {
        feed(.ahead(height: height, isOwn: false, from: peer))
    }

    func mayWant(_ answer: AckRes) -> Bool { machine.wantsToCheck(answer, now: Reactor.now) }

    func acknowledged(_ answer: AckRes, from peer: PeerID) async -> Bool {
        switch await check(answer, from: peer) {
        case .signed(let verified): feed(.acknowledged(verified, from: peer))
        case .unchecked: break
        case .forged:
            // Who merely passes on what is gossiped does not look into it.
            let voter = answer.signature.publicKey
            if voter.peerID == peer { penalize(peer, .badVoteSignature(voter)) }
            return false
        }
        return true
    }
}

extension ConsensusService {
    /// An answer in this node's own name came by gossip. Nobody passes one on that its author did not sign, so whoever
    /// brings one whose vote is forged has forged it.
    func heardOwn(_ answer: AckRes, from peer: PeerID) async {
        switch await check(answer, from: peer) {
        case .signed(let verified): feed(.ownVoteHeard(verified))
        case .unchecked: break
        case .forged: context.host.report(peer, .wrongContent)
        }
    }

    private enum AnswerCheck {
        case signed(VerifiedAcknowledgement)
        case forged
        /// It is in check already, too many are, or the node is stopping.
        case unchecked
    }

    private func check(_ answer: AckRes, from peer: PeerID) async -> AnswerCheck {
        guard let leader = machine.state.leader,
            answersInCheck.begin(answer, from: peer, isTrusted: rank(peer) != .stranger)
        else { return .unchecked }
        defer { answersInCheck.end(answer, from: peer) }
        do {
            return .signed(
                try await context.checks.run {
                    try VerifiedAcknowledgement(verifying: answer, leader: leader)
                })
        } catch {
            return error is ConsensusError ? .forged : .unchecked
        }
    }
}
