import Bytes
import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Requests peers' consensus status and proposed blocks, and confirms commits to the leader (docs/wire.md, section 8).
extension ConsensusService: ConsensusStatusSource {
    /// The maximum number of peers asked for one block, one after another.
    private nonisolated static let askedForBlock = 8

    func status(of height: Int64) async throws(ProtocolsError) -> ConsensusStatus {
        guard let status = await ask({ machine, _, _ in machine.status(of: height) }) else { throw .busy }
        return status
    }

    func proposedBlock(height: Int64, hash: Hash) async -> SharedBytes? {
        await openBlock(height, hash)?.block.bytes
    }

    private func openBlock(_ height: Int64, _ hash: Hash) async -> CheckedBlock? {
        await ask { machine, _, _ in machine.openBlock(height: height, hash: hash) } ?? nil
    }

    /// Whether a connected peer has announced a protocol.
    func speaks(_ id: ProtocolID, _ peer: PeerID) -> Bool {
        context.host.identity(of: peer)?.protocols.contains(id) ?? false
    }

    // MARK: Status

    func askStatus(of keys: [PublicKey]) {
        for peer in keys.map(\.peerID) where context.host.isConnected(peer) {
            Reactor.spawn { await self.askStatus(of: peer) }
        }
    }

    private func askStatus(of peer: PeerID) async {
        let height = view.state.height &+ 1
        do {
            guard speaks(ConsensusStatusProtocol.id, peer) else {
                return try await askHeight(of: peer, height)
            }
            let status = try await ConsensusStatusProtocol.request(
                height, from: peer, on: context.host, sizes: blockSizes)
            let (state, signers) = (view.state, view.signers(ofProposalsFrom: peer))
            let verified = try await context.checks.run(.high) {
                VerifiedStatus(verifying: status, after: state, signers: signers)
            }
            await take(verified, from: peer)
        } catch {
            context.log.debug("no status", ["peer": .of(peer), "reason": .error(error)])
        }
    }

    /// Asks a peer that does not speak the status protocol for its best height.
    private func askHeight(of peer: PeerID, _ height: Int64) async throws(ProtocolsError) {
        let answer = try await BlockHeightProtocol.request(
            height, from: peer, on: context.host, sizes: blockSizes)
        let best = max(answer.bestHeight ?? 0, answer.found == nil ? 0 : height)
        await take(VerifiedStatus(height: best), from: peer)
    }

    /// Passes a peer's status to the machine, and fetches the block that the machine then wants.
    private func take(_ status: VerifiedStatus, from peer: PeerID) async {
        switch await ask({ $0.admit(status, from: peer, at: $1, actions: &$2) }) {
        case .nothing, nil: break
        case .proposal(let proposal):
            if let block = await request(proposal.height, proposal.hash, from: [peer]) {
                _ = await take(block, for: proposal, from: peer)
            } else {
                _ = await failed(proposal, from: peer)
            }
        case .commit(let commit):
            let found = try? await BlockProtocol.request(
                commit.hash, from: peer, on: context.host, sizes: blockSizes)
            if let found {
                note(body: found.block, from: peer)
                _ = await take(found.block, for: commit, from: peer)
            } else {
                await handle(.decidedFetchFailed(commit.hash, from: peer))
            }
        }
    }

    // MARK: Proposed blocks

    /// Fetches a proposed block from the first of these peers that has it.
    private func request(_ height: Int64, _ hash: Hash, from peers: [PeerID]) async -> Block? {
        for peer in peers.filter({ speaks(ProposedBlockProtocol.id, $0) }).prefix(Self.askedForBlock) {
            do {
                let block = try await ProposedBlockProtocol.request(
                    height: height, hash: hash, from: peer, on: context.host, sizes: blockSizes)
                if let block {
                    note(body: block, from: peer)
                    return block
                }
            } catch {
                context.log.debug(
                    "no proposed block",
                    [
                        "peer": .of(peer), "height": .number(height), "block": .of(hash),
                        "reason": .error(error),
                    ])
            }
        }
        return nil
    }

    /// Returns the connected validators, those in `first` before the others.
    private func validators(_ first: [PublicKey]) -> [PeerID] {
        let others = view.state.validators.keys.filter {
            !first.contains($0) && $0 != context.key.publicKey
        }
        return (first + others).map(\.peerID).filter(context.host.isConnected)
    }

    /// Fetches a proposal's block from the leader or a validator, but not its announcer. Returns whether to fetch it
    /// from the announcer after all.
    func fetchElsewhere(_ proposal: BlockProposal, except announcer: PeerID) async -> Admission {
        let peers = validators([view.proposer].compactMap { $0 }).filter { $0 != announcer }
        guard let block = await request(proposal.height, proposal.hash, from: peers) else {
            return await failed(proposal, from: announcer)
        }
        return await take(block, for: proposal, from: announcer)
    }

    func fetchLocked(_ height: Int64, _ hash: Hash, _ holders: [PublicKey]) {
        let (peers, state) = (validators(holders), view.state)
        Reactor.spawn {
            if let own = await self.openBlock(height, hash) { return self.feed(.lockedFetched(own)) }
            var found = await self.request(height, hash, from: peers)
            if found == nil { found = await self.committedBlock(hash) }
            guard let block = found, let signer = state.signer(of: block.header) else {
                return self.feed(.lockedFetchFailed(hash))
            }
            do {
                guard try await self.context.checks.run(.high, { block.verifySignature(signer) }) else {
                    throw ConsensusError.notSignedByLeader(hash)
                }
                let checked = try await self.check(block, expected: hash)
                self.note(.verified, height, hash)
                self.feed(.lockedFetched(checked))
            } catch {
                self.context.log.warning(
                    "acknowledged block refused", ["block": .of(hash), "reason": .error(error)])
                self.feed(.lockedFetchFailed(hash))
            }
        }
    }

    /// Fetches a block that no peer has as a proposal from a peer that may have committed it.
    private func committedBlock(_ hash: Hash) async -> Block? {
        for peer in context.host.connectedPeers.prefix(Self.askedForBlock) {
            let found = try? await BlockProtocol.request(
                hash, from: peer, on: context.host, sizes: blockSizes)
            if let found { return found.block }
        }
        return nil
    }

    // MARK: Commits

    /// Tells the leader that this validator has committed. If the message is lost, the leader announces the block again.
    func confirm(_ commit: VerifiedCommit) {
        guard let leader = view.proposer?.peerID, speaks(CommitDoneProtocol.id, leader) else { return }
        let key = context.key
        Reactor.spawn {
            do {
                let message = try await self.context.checks.run(.high) {
                    CommitDone(height: commit.height, block: commit.hash, appHash: commit.appHash, by: key)
                }
                try await CommitDoneProtocol.send(message, to: leader, on: self.context.host)
            } catch {
                self.context.log.debug(
                    "commit not confirmed",
                    [
                        "peer": .of(leader), "height": .number(commit.height), "block": .of(commit.hash),
                        "reason": .error(error),
                    ])
            }
        }
    }

    func committed(_ message: CommitDone, from peer: PeerID) async throws(ProtocolsError) {
        let voter = message.signature.publicKey
        // A validator confirms only its own commits, and once per height. Repetitions are not checked.
        guard voter.peerID == peer, await ask({ machine, _, _ in machine.wantsToCheck(message) }) ?? false
        else { return }
        guard (try? await context.checks.run(.high) { message.verify() }) ?? true else {
            penalize(peer, .badVoteSignature(voter))
            throw .wrongContent("a commit that its validator did not sign")
        }
        await handle(.commitDone(message, from: peer))
    }
}
