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
    func mayWant(_ proposal: BlockProposal, from peer: PeerID) -> Bool {
        machine.wantsToCheck(proposal, from: peer, now: Reactor.now)
    }

    func proposed(_ proposal: BlockProposal, from peer: PeerID) async -> ConsensusVerdict {
        let height = machine.state.height
        guard proposal.height <= height &+ 2 else {
            feed(.ahead(height: proposal.height &- 1, proven: false, from: peer))
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
        feed(.proposed(verified, from: peer))
        return wanted.remove(proposal.hash) == nil ? .ignore : .fetch
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

    func received(_ block: Block, for proposal: BlockProposal, from peer: PeerID) async {
        context.observer.downloaded(block)
        do {
            let checked = try await check(block, expected: proposal.hash)
            feed(.proposalFetched(checked, from: peer, wallClock: context.wallClock()))
        } catch ConsensusError.invalidBlock(_, let reason) {
            feed(.proposalInvalid(proposal.hash, reason: reason))
        } catch {
            feed(.proposalFetchFailed(proposal.hash, from: peer))
        }
    }

    func failed(_ proposal: BlockProposal, _ error: ProtocolsError, from peer: PeerID) {
        feed(.proposalFetchFailed(proposal.hash, from: peer))
    }

    func mayWant(_ announcement: BlockAnnouncement, from peer: PeerID) -> Bool {
        if announcement.hash == machine.state.hash { feed(.announcedAgain(from: peer)) }
        if announcement.height > machine.state.height { holders.note(peer, has: announcement.hash) }
        return isWanted(announcement)
    }

    private func isWanted(_ announcement: BlockAnnouncement) -> Bool {
        machine.wantsToCheck(announcementOf: announcement.hash, height: announcement.height)
    }

    /// The votes of a hundred validators take milliseconds: they are checked on the worker, for one of those who
    /// announce a block at a time, and for the next only if the one before brought wrong ones.
    func announced(_ announcement: BlockAnnouncement, from peer: PeerID) async -> ConsensusVerdict {
        guard announcement.header.height == announcement.height else {
            return forged(.mismatch("an announcement of another height than its block's"), by: peer)
        }
        guard machine.canProve(announcement.header) else {
            let isOwn = machine.role == .leader && announcement.verify(context.key.publicKey)
            feed(.ahead(height: announcement.height, proven: isOwn, from: peer))
            return .ignore
        }
        guard await announcementChecks.enter(announcement.hash, from: peer) else { return .ignore }
        defer { announcementChecks.leave(announcement.hash, from: peer) }
        let state = machine.state
        guard isWanted(announcement), state.isBasis(of: announcement.header) else { return .ignore }
        do {
            let commit = try await context.checks.run {
                try VerifiedCommit(verifying: announcement, after: state)
            }
            feed(.announced(commit, from: peer))
        } catch let error as ConsensusError {
            return forged(error, by: peer)
        } catch {
            return .ignore
        }
        return wanted.remove(announcement.hash) == nil ? .ignore : .fetch
    }

    func received(_ block: Block, for announcement: BlockAnnouncement, from peer: PeerID) async {
        guard let commit = commits.removeValue(forKey: announcement.hash) else { return }
        do {
            feed(.decided(commit, try await check(block, expected: announcement.hash)))
        } catch {
            context.log.warning(
                "announced block refused",
                ["peer": .of(peer), "block": .of(announcement.hash), "reason": .error(error)])
            feed(.decidedFetchFailed(announcement.hash, from: peer))
        }
    }

    func failed(_ announcement: BlockAnnouncement, _ error: ProtocolsError, from peer: PeerID) {
        commits[announcement.hash] = nil
        feed(.decidedFetchFailed(announcement.hash, from: peer))
    }

    func hinted(height: Int64, hash: Hash, from peer: PeerID) {
        feed(.ahead(height: height, proven: false, from: peer))
    }

    func mayWant(_ answer: AckRes) -> Bool { machine.wantsToCheck(answer, now: Reactor.now) }

    func acknowledged(_ answer: AckRes, from peer: PeerID) async -> Bool {
        guard let leader = machine.state.leader, answersInCheck.count < Self.answersInCheckLimit else {
            return true
        }
        // The same answer comes directly and by gossip; an impostor's must not keep the voter's own out.
        let mark = AnswerInCheck(
            voter: answer.signature.publicKey, block: answer.block, appHash: answer.appHash, source: peer)
        guard answersInCheck.insert(mark).inserted else { return true }
        defer { answersInCheck.remove(mark) }
        do {
            let verified = try await context.checks.run {
                try VerifiedAcknowledgement(verifying: answer, leader: leader)
            }
            feed(.acknowledged(verified, from: peer))
            return true
        } catch is ConsensusError {
            // Who merely passes on what is gossiped does not look into it.
            let voter = answer.signature.publicKey
            if voter.peerID == peer { penalize(peer, .badVoteSignature(voter)) }
            return false
        } catch {
            return true
        }
    }
}

/// An answer to a proposal whose signature is being checked.
struct AnswerInCheck: Hashable {
    let voter: PublicKey
    let block: Hash
    let appHash: Hash?
    let source: PeerID
}
