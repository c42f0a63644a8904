import Bytes
import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import Storage

/// Sends messages to peers. The machine decides when to repeat them.
extension ConsensusService {
    /// Answers a proposal without a vote; nothing is recorded.
    func refuse(_ height: Int64, _ block: Hash, _ answer: AckRes.Answer) {
        let key = context.key
        Reactor.spawn {
            let message = try? await self.context.checks.run(.high) {
                AckRes(height: height, block: block, answer: answer, by: key)
            }
            if let message { self.send(message) }
        }
    }

    func send(_ message: AckRes) {
        if message.appHash != nil { note(.ackSent, message.height, message.block) }
        context.metrics.votesSent[VoteAnswer(message)].add()
        gossip.publish(GossipTopic.acknowledgements, message.bytes, log: context.log)
        guard let leader = view.proposer?.peerID, context.host.isConnected(leader) else {
            return
        }
        Reactor.spawn {
            do {
                try await AcknowledgementProtocol.send(message, to: leader, on: self.context.host)
            } catch {
                // The machine sends again while the block is the latest.
                self.context.log.debug(
                    "acknowledgement not sent",
                    [
                        "peer": .of(leader), "height": .number(message.height), "block": .of(message.block),
                        "reason": .error(error),
                    ])
            }
        }
    }

    func propose(_ block: CheckedBlock, stamp: Int64, to keys: [PublicKey]?) {
        note(.proposed, block.height, block.hash)
        if keys == nil { context.observer.proposed(block.block, stamp) }
        if stamp != block.stamp {
            // Validators that get the block from another validator must know that the leader itself chose the stamp.
            let told = ProposalStamp(height: block.height, block: block.hash, stamp: stamp)
            gossip.publish(GossipTopic.stamp, told.bytes, log: context.log)
        }
        let own = context.key.publicKey
        let validators = keys ?? view.state.validators.keys
        // Those to which it is offered again may have the block, and their answers were lost.
        send(block, stamp: stamp, isPushed: keys == nil, to: validators.filter { $0 != own }.map(\.peerID))
    }

    func relay(_ block: CheckedBlock, _ stamp: Int64, except source: PeerID) {
        let own = context.key.publicKey
        let leader = view.proposer
        let others = view.state.validators.keys.filter { $0 != own && $0 != leader }
        send(block, stamp: stamp, isPushed: false, to: others.map(\.peerID).filter { $0 != source })
    }

    /// Announces a proposal: in the compact form to peers that take it. Those that lack it most likely get it unasked.
    private func send(_ block: CheckedBlock, stamp: Int64, isPushed: Bool, to peers: [PeerID]) {
        let (host, body) = (context.host, block.block.bytes)
        let proposal = BlockProposal(block.block, sender: context.key.publicKey, stamp: stamp)
        let connected = peers.filter(host.isConnected)
        let compact = connected.filter { speaks(CompactProposalProtocol.id, $0) }
        for peer in connected where !compact.contains(peer) {
            attempt(proposal, to: peer) { () async throws(ProtocolsError) in
                try await BlockProposalProtocol.announce(proposal, block: body, to: peer, on: host)
            }
        }
        guard !compact.isEmpty else { return }
        Reactor.spawn {
            guard let form = try? await self.compute({ CompactBlock(block.hashed) }) else { return }
            let (places, shares) = isPushed ? self.shares(of: block, among: compact) : ([:], nil)
            for peer in compact {
                self.attempt(proposal, to: peer) { () async throws(ProtocolsError) in
                    try await CompactProposalProtocol.announce(
                        proposal, form, isPushed: isPushed, to: peer, on: host, shares: shares,
                        receiver: places[peer]
                    ) { self.mempool.lacking(form.transactionIDs, peer) }
                }
            }
        }
    }

    /// Returns the keepers of a block's transactions: those of these peers that pass them on, with their places among the
    /// validators that vote on the block.
    private func shares(
        of block: CheckedBlock, among peers: [PeerID]
    ) -> (places: [PeerID: Int], shares: BlockShares?) {
        guard block.header.validatorSetHash == view.state.validatorSetHash else { return ([:], nil) }
        let able = Set(peers.filter { speaks(BlockShareProtocol.id, $0) })
        let validators = view.state.validators.keys.map(\.peerID)
        var (places, keepers) = ([PeerID: Int](), PlaceSet(capacity: validators.count))
        for (place, peer) in validators.enumerated() where able.contains(peer) {
            places[peer] = place
            keepers[place] = true
        }
        return (places, BlockShares(keepers))
    }

    /// The machine repeats what fails.
    private func attempt(
        _ proposal: BlockProposal, to peer: PeerID,
        _ announce: @escaping @ReactorActor () async throws(ProtocolsError) -> Void
    ) {
        Reactor.spawn {
            do throws(ProtocolsError) {
                try await announce()
            } catch {
                self.context.log.debug(
                    "proposal not sent",
                    [
                        "peer": .of(peer), "height": .number(proposal.height), "block": .of(proposal.hash),
                        "reason": .error(error),
                    ])
            }
        }
    }

    /// Announces a block to one peer, or to all that have not announced it themselves.
    func announce(_ commit: VerifiedCommit, to peer: PeerID?) {
        if let peer { return announce(commit, to: [peer]) }
        let holders = holders.take(commit.hash, at: commit.height)
        announce(commit, to: context.host.connectedPeers.filter { !holders.contains($0) })
    }

    /// Announces a block again, except to validators that have confirmed it.
    func announceAgain(_ commit: VerifiedCommit, except confirmed: [PublicKey]) {
        let confirmed = Set(confirmed.map(\.peerID))
        announce(commit, to: context.host.connectedPeers.filter { !confirmed.contains($0) })
    }

    /// Returns the peers with validators before all others.
    nonisolated static func order(_ peers: [PeerID], validators: [PublicKey]) -> [PeerID] {
        let first = Set(validators.map(\.peerID))
        return peers.filter(first.contains) + peers.filter { !first.contains($0) }
    }

    private func announce(_ commit: VerifiedCommit, to peers: [PeerID]) {
        guard !peers.isEmpty else { return }
        Reactor.spawn {
            let found = try? await self.context.chain.block(hash: commit.hash, on: self.context.serving)
            if let found { self.announce(commit, found.block.block, to: peers) }
        }
    }

    private func announce(_ commit: VerifiedCommit, _ block: SharedBytes, to peers: [PeerID]) {
        note(.announced, commit.height, commit.hash)
        let message = SharedBytes(commit.announcement.bytes)
        for peer in Self.order(peers, validators: view.state.validators.keys) {
            Reactor.spawn {
                do {
                    try await BlockAnnouncementProtocol.announce(
                        message, block: block, to: peer, on: self.context.host)
                } catch {
                    self.context.log.debug(
                        "announcement not sent",
                        [
                            "peer": .of(peer), "height": .number(commit.height), "block": .of(commit.hash),
                            "reason": .error(error),
                        ])
                }
            }
        }
    }
}
