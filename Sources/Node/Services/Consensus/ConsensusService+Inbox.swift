import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Messages from peers. Their signatures are checked before anything else is done.
extension ConsensusService: ConsensusInbox {
    /// The sizes under the parameters and validators at the tip, which hold for the next block.
    var blockSizes: BlockSizes {
        BlockSizes(view.state.parameters, validators: view.state.validators.count)
    }

    // MARK: Proposals

    func proposed(_ proposal: BlockProposal, _ offer: BlockOffer) async throws(ProtocolsError) {
        guard try await isToBeFetched(proposal, on: offer.stream) else { return }
        let block = try await fetch(proposal, from: offer.peer) { () async throws(ProtocolsError) in
            try await offer.take(limit: blockSizes.block)
        }
        note(body: block, from: offer.peer)
        _ = await take(block, for: proposal, from: offer.peer)
    }

    func proposed(_ proposal: BlockProposal, _ offer: CompactOffer) async throws(ProtocolsError) {
        guard try await isToBeFetched(proposal, on: offer.stream) else { return }
        let (block, lie) = try await fetch(proposal, from: offer.peer) { () async throws(ProtocolsError) in
            try await offer.take(limit: blockSizes.block)
        }
        note(body: block.block, from: offer.peer)
        _ = await take(block, for: proposal, from: offer.peer)
        arrivingBlocks.end(proposal.hash)
        if let lie { throw lie }
    }

    func isValidator(_ peer: PeerID) -> Bool {
        (try? PublicKey(peerID: peer)).map(view.state.validators.contains) ?? false
    }

    func keepers(of header: BlockHeader, proposedBy peer: PeerID) -> BlockKeepers? {
        let keys = view.state.validators.keys
        guard peer == view.proposer?.peerID, header.validatorSetHash == view.state.validatorSetHash,
            let own = keys.firstIndex(of: context.key.publicKey)
        else { return nil }
        return BlockKeepers(keys.map(\.peerID), own: own, host: context.host)
    }

    func supply(_ assembly: BlockAssembly) async -> BlockAssembly { await mempool.supply(assembly) }

    func compute<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await context.checks.run(.high, job)
    }

    /// Returns whether to fetch the block of a proposal on the announcement's stream. Before that, asks others if the announcer
    /// has let this node down.
    private func isToBeFetched(
        _ proposal: BlockProposal, on stream: Stream
    ) async throws(ProtocolsError) -> Bool {
        let (peer, arrival) = (stream.remotePeer, Reactor.now)
        guard view.role == .validator,
            await ask({ machine, now, _ in
                machine.wantsToCheck(proposal, from: peer, now: now.elapsed)
            }) ?? false
        else { return false }
        let admission = try await admission(of: proposal, from: peer)
        if admission != .ignore { note(.header, proposal.height, proposal.hash, at: arrival) }
        switch admission {
        case .ignore: return false
        case .fetch: break
        case .askOthersFirst:
            guard await fetchElsewhere(proposal, except: peer) == .fetch else { return false }
        }
        watch(stream, proposal)
        return true
    }

    private func fetch<T>(
        _ proposal: BlockProposal, from peer: PeerID,
        _ take: @ReactorActor () async throws(ProtocolsError) -> T
    ) async throws(ProtocolsError) -> T {
        do throws(ProtocolsError) {
            return try await take()
        } catch {
            _ = await failed(proposal, from: peer)
            throw error
        }
    }

    private func admission(
        of proposal: BlockProposal, from peer: PeerID
    ) async throws(ProtocolsError) -> Admission {
        guard proposal.height <= view.state.height &+ 2 else {
            await handle(.ahead(height: proposal.height &- 1, isOwn: false, from: peer))
            return .ignore
        }
        switch await check(proposal, from: peer) {
        case .signed(let verified):
            return await ask { $0.admit(verified, from: peer, at: $1, actions: &$2) } ?? .ignore
        // Above the next height, a leader that this node does not know yet may have signed it.
        case .forged where proposal.height <= view.state.height &+ 1:
            penalize(peer, .notSignedByLeader(proposal.hash))
            throw .wrongContent("a proposal that the leader did not sign")
        case .forged, .unknown: return .ignore
        }
    }

    private enum ProposalCheck: Sendable {
        case signed(VerifiedProposal)
        /// Signed by its sender, a validator that may have been promoted without this node knowing, or the former
        /// leader, which may not know about a promotion.
        case unknown
        case forged
    }

    private func check(_ proposal: BlockProposal, from peer: PeerID) async -> ProposalCheck {
        let (state, signers) = (view.state, view.signers(ofProposalsFrom: peer))
        let check = try? await context.checks.run(.high) { () -> ProposalCheck in
            for signer in signers {
                if let verified = try? VerifiedProposal(verifying: proposal, leader: signer) {
                    return .signed(verified)
                }
            }
            let keys = state.validators.keys + [state.leader].compactMap { $0 }
            let isCandidate = keys.first { $0.peerID == peer }.map(proposal.verify) ?? false
            return isCandidate ? .unknown : .forged
        }
        return check ?? .unknown
    }

    /// Tells the machine about the progress of a fetch, so that a large block does not count as a withheld one.
    private func watch(_ stream: Stream, _ proposal: BlockProposal) {
        let peer = stream.remotePeer
        Reactor.spawn { [weak self, weak stream] in
            var told = 0
            while await self?.awaits(proposal.hash, from: peer) ?? false {
                try? await Reactor.sleep(for: .milliseconds(500))
                guard let self, let stream else { continue }
                let bytes = stream.bytesReceived + arrivingBlocks.bytesFromKeepers(of: proposal.hash)
                guard bytes - told >= Self.progressBytes else { continue }
                told = bytes
                await handle(.proposalArriving(proposal.hash, from: peer))
            }
        }
    }

    private func awaits(_ block: Hash, from peer: PeerID? = nil) async -> Bool {
        await ask { machine, _, _ in machine.awaits(block, from: peer) } ?? false
    }

    /// Takes a proposal's block, which any peer may have sent. Returns whether to fetch it from its announcer after
    /// all.
    func take(_ block: Block, for proposal: BlockProposal, from announcer: PeerID) async -> Admission {
        await take(block, for: proposal, from: announcer) {
            try await self.check(block, expected: proposal.hash)
        }
    }

    private func take(
        _ block: HashedBlock, for proposal: BlockProposal, from announcer: PeerID
    ) async -> Admission {
        await take(block.block, for: proposal, from: announcer) { try await self.verifier.verify(block) }
    }

    private func take(
        _ block: Block, for proposal: BlockProposal, from announcer: PeerID,
        _ check: @ReactorActor () async throws -> CheckedBlock
    ) async -> Admission {
        // Another peer may have sent it before.
        guard await awaits(proposal.hash) else {
            context.metrics.duplicates[.block].add()
            return .ignore
        }
        context.observer.downloaded(block)
        do {
            let checked = try await check()
            note(verifiedProposal: checked)
            arrivingBlocks.complete(checked.hashed)
            await handle(.proposalFetched(checked, from: announcer))
        } catch ConsensusError.invalidBlock(_, let reason) {
            context.traces.blocks.noteRefusal(of: proposal.hash)
            await handle(.proposalInvalid(block, reason: reason))
        } catch {
            return await failed(proposal, from: announcer)
        }
        return .ignore
    }

    /// Notes that a proposal's block could not be fetched. Returns whether to fetch it from its announcer after all.
    func failed(_ proposal: BlockProposal, from announcer: PeerID) async -> Admission {
        await ask { $0.proposalFetchFailed(proposal.hash, from: announcer, at: $1, actions: &$2) } ?? .ignore
    }

    // MARK: Announcements

    func announced(_ announcement: BlockAnnouncement, _ offer: BlockOffer) async throws(ProtocolsError) {
        let (peer, arrival) = (offer.peer, Reactor.now)
        if announcement.hash == view.state.hash, peer == view.proposer?.peerID {
            await handle(.announcedAgain(from: peer))
        }
        if announcement.height > view.state.height, context.host.isConnected(peer) {
            holders.note(
                peer, has: announcement.hash, at: announcement.height, isTrusted: peers.trusts(peer))
        }
        guard await isWanted(announcement) else { return }
        guard announcement.header.height == announcement.height else {
            penalize(peer, .mismatch("an announcement whose height differs from its block's"))
            throw .wrongContent("an announcement whose height differs from its block's")
        }
        guard await isProvable(announcement) else { return await hinted(announcement, from: peer) }
        guard await hesitate(announcement, from: peer) else {
            guard sources.tests(peer, now: Reactor.now) else { return }
            if try await !offer.test() { withheld(announcement.hash, by: peer) }
            return
        }
        guard let commit = try await admitted(announcement, from: peer, at: arrival) else { return }
        try await fetch(commit, from: offer)
    }

    func isWanted(_ announcement: BlockAnnouncement) async -> Bool {
        let (hash, height) = (announcement.hash, announcement.height)
        return await ask { machine, _, _ in machine.wantsToCheck(announcementOf: hash, height: height) }
            ?? false
    }

    private func isProvable(_ announcement: BlockAnnouncement) async -> Bool {
        if view.canProve(announcement.header) { return true }
        return await ask { machine, now, _ in
            machine.wouldProve(announcement.header, now: now.elapsed)
        } ?? false
    }

    /// Asks the sender of an announcement that proves nothing. The leader's key may have served an earlier chain.
    private func hinted(_ announcement: BlockAnnouncement, from peer: PeerID) async {
        var isOwn = false
        if view.role == .leader {
            let key = context.key.publicKey
            isOwn = (try? await context.checks.run(.high) { announcement.verify(key) }) ?? false
        }
        await handle(.ahead(height: announcement.height, isOwn: isOwn, from: peer))
    }

    /// Returns the proof of an announced block if the block is to be fetched. Checking the votes of a hundred
    /// validators takes milliseconds, so one announcement of a block is checked at a time, and the next only if that
    /// one is wrong.
    private func admitted(
        _ announcement: BlockAnnouncement, from peer: PeerID, at arrival: Duration
    ) async throws(ProtocolsError) -> VerifiedCommit? {
        guard await announcementChecks.enter(announcement.hash, by: peer, isTrusted: peers.trusts(peer))
        else { return nil }
        defer { announcementChecks.leave(announcement.hash, by: peer) }
        guard await isWanted(announcement), view.state.isBasis(of: announcement.header) else { return nil }
        let (commit, error) = await prove(announcement, after: view.state)
        if let error {
            penalize(peer, error)
            throw .wrongContent("an announcement without a valid leader signature or enough votes")
        }
        guard let commit else { return nil }
        note(.header, commit.height, commit.hash, at: arrival)
        note(.quorum, commit.height, commit.hash)
        events.send(.proven(commit.height))
        let admission = await ask { $0.admit(commit, from: peer, at: $1, actions: &$2) }
        return admission == .fetch ? commit : nil
    }

    /// Verifies an announcement. Returns nil for both if the node is stopping.
    private func prove(
        _ announcement: BlockAnnouncement, after state: ChainState
    ) async -> (VerifiedCommit?, ConsensusError?) {
        do {
            let commit = try await context.checks.run(.high) {
                try VerifiedCommit(verifying: announcement, after: state)
            }
            return (commit, nil)
        } catch {
            return (nil, error as? ConsensusError)
        }
    }

    func hinted(height: Int64, hash: Hash, from peer: PeerID) async {
        await handle(.ahead(height: height, isOwn: false, from: peer))
    }

    // MARK: Answers

    func acknowledged(_ answer: AckRes, from peer: PeerID) async throws(ProtocolsError) {
        // Other nodes than the leader hear many answers, which are not worth a question to the machine.
        guard view.role == .leader,
            await ask({ machine, now, _ in machine.wantsToCheck(answer, now: now.elapsed) }) ?? false
        else { return }
        switch await check(answer, from: peer) {
        case .signed(let verified):
            context.metrics.votesReceived[VoteAnswer(answer)].add()
            await handle(.acknowledged(verified, from: peer))
        case .unchecked: break
        case .forged:
            // A peer that relays gossip does not check votes.
            let voter = answer.signature.publicKey
            if voter.peerID == peer { penalize(peer, .badVoteSignature(voter)) }
            throw .wrongContent("an answer that its voter did not sign")
        }
    }
}

extension ConsensusService {
    /// Checks an answer in this node's name that arrived by gossip. Peers relay only what the author signed, so a peer
    /// that sends one without a valid vote has forged it.
    func heardOwn(_ answer: AckRes, from peer: PeerID) async {
        guard await ask({ machine, _, _ in machine.mayBeForeign(answer) }) ?? false else { return }
        switch await check(answer, from: peer) {
        case .signed(let verified): await handle(.ownVoteHeard(verified))
        case .unchecked: break
        case .forged: context.host.report(peer, .wrongContent)
        }
    }

    private enum AnswerCheck {
        case signed(VerifiedAcknowledgement)
        case forged
        /// It is already being checked, too many others are, or the node is stopping.
        case unchecked
    }

    private func check(_ answer: AckRes, from peer: PeerID) async -> AnswerCheck {
        guard let leader = view.state.leader,
            answersInCheck.begin(answer, from: peer, isTrusted: peers.trusts(peer))
        else { return .unchecked }
        defer { answersInCheck.end(answer, from: peer) }
        do {
            return .signed(
                try await context.checks.run(.high) {
                    try VerifiedAcknowledgement(verifying: answer, leader: leader)
                })
        } catch {
            return error is ConsensusError ? .forged : .unchecked
        }
    }
}
