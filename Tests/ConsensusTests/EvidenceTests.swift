import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Consensus

/// Evidence that proves a commit, and evidence that does not.
struct EvidenceTests {
    let chain: TestChain
    let block: CheckedBlock

    init() throws {
        chain = try TestChain(validators: 4)
        block = try chain.block(after: chain.genesis, stamp: 1000, transactions: [chain.transaction(1)])
    }

    func commit(_ votes: [VoteInfo]) throws -> VerifiedCommit {
        try VerifiedCommit(
            verifying: BlockAnnouncement(
                block.block, CommitInfo(appHash: TestChain.appHash(block), votes: votes)),
            after: chain.genesis)
    }

    func vote(_ key: PrivateKey) -> VoteInfo {
        VoteInfo(
            signature: VoteSignature(block.hash, appHash: TestChain.appHash(block), by: key), status: .agreed)
    }

    @Test func aCommitNeedsMoreThanHalfOnceEach() throws {
        #expect(try commit(chain.validators[0..<3].map(vote)).hash == block.hash)
        #expect(throws: ConsensusError.notCommitted(block.hash)) {
            try commit(chain.validators[0..<2].map(vote))
        }
        #expect(throws: ConsensusError.notCommitted(block.hash), "one voter twice") {
            try commit([vote(chain.validators[0]), vote(chain.validators[1]), vote(chain.validators[1])])
        }
        #expect(throws: ConsensusError.notCommitted(block.hash), "a stranger") {
            try commit([vote(chain.validators[0]), vote(chain.validators[1]), vote(chain.sentry)])
        }
    }

    @Test func aVoteForAnotherHashDoesNotCount() throws {
        let wrong = VoteInfo(
            signature: VoteSignature(block.hash, appHash: .zero, by: chain.validators[2]), status: .agreed)
        #expect(throws: ConsensusError.notCommitted(block.hash)) {
            try commit([vote(chain.validators[0]), vote(chain.validators[1]), wrong])
        }
    }

    @Test func onlyTheLeaderProposes() throws {
        let header = block.header
        let impostor = Block.signed(header, transactions: block.transactions, by: chain.sentry)
        #expect(throws: ConsensusError.notSignedByLeader(block.hash)) {
            try VerifiedProposal(
                verifying: BlockProposal(impostor, sender: chain.sentry.publicKey),
                leader: chain.leader.publicKey)
        }
        #expect(throws: ConsensusError.notSignedByLeader(block.hash)) {
            let votes = chain.validators.map(vote)
            return try VerifiedCommit(
                verifying: BlockAnnouncement(
                    impostor, CommitInfo(appHash: TestChain.appHash(block), votes: votes)),
                after: chain.genesis)
        }
    }

    @Test func acknowledgementsAreTheirVoters() throws {
        let honest = chain.ack(block, by: chain.validators[1])
        let forged = AckRes(
            height: 1, block: block.hash, answer: .ack(appHash: .zero), signature: honest.signature)
        #expect(throws: ConsensusError.badVoteSignature(chain.validators[1].publicKey)) {
            try chain.verified(forged)
        }
        let unproven = AckRes(
            height: 1, block: block.hash,
            answer: .outOfSync(best: block.header, leaderSignature: SharedBytes([1, 2])),
            by: chain.validators[1])
        #expect(try chain.verified(unproven).proof == nil)
    }

    @Test func aNewLeaderSignsTheBlockThatNamesIt() throws {
        let successor = chain.validators[2]
        func handover(to leader: PublicKey, by signer: PrivateKey) throws -> VerifiedCommit {
            let block = try chain.block(after: chain.genesis, stamp: 5, by: signer) { $0.newLeader = leader }
            return try chain.commit(block)
        }
        let commit = try handover(to: successor.publicKey, by: successor)
        let after = try chain.genesis.after(commit.header, hash: commit.hash, commit: commit.info)
        #expect(after.leader == successor.publicKey)
        #expect(after.leaderSince == 1)
        #expect(throws: ConsensusError.self, "the old leader cannot name it") {
            try handover(to: successor.publicKey, by: chain.leader)
        }
        #expect(throws: ConsensusError.self, "not a validator") {
            try handover(to: chain.sentry.publicKey, by: chain.sentry)
        }
        let next = try chain.block(after: after, stamp: 6, by: successor)
        #expect(throws: ConsensusError.unproven(height: 2), "before its turn") {
            try chain.commit(next, after: chain.genesis)
        }
        #expect(try chain.commit(next, after: after).height == 2)
    }

    @Test func resetsAreTheLeaders() {
        #expect(throws: ConsensusError.self) {
            try LeaderMessage(
                ConsensusReset(height: 0, transactions: []), author: chain.sentry.publicKey,
                leader: chain.leader.publicKey)
        }
    }

    // MARK: Blocks

    func check(_ block: Block, expected: Hash? = nil, known: (Hash) -> Transaction? = { _ in nil }) throws
        -> CheckedBlock
    {
        try CheckedBlock(
            BlockCheck(
                of: HashedBlock(hashing: block, expected: expected ?? block.hash), chainID: TestChain.chainID,
                known: known))
    }

    @Test func aGoodBlockPasses() throws {
        let checked = try check(try Block(decoding: block.block.bytes), expected: block.hash)
        #expect(checked.transactions.map(\.id) == block.transactions.map(\.id))
        #expect(checked.block.transactionBytes == block.transactions[0].bytes.count)
    }

    @Test func aKnownTransactionIsNotCheckedAgain() throws {
        let transaction = block.transactions[0]
        let checked = try check(block.block) { $0 == transaction.id ? transaction : nil }
        #expect(checked.transactions[0] === transaction)
    }

    @Test func otherTransactionsThanTheHeadersAreTheSendersFault() throws {
        let swapped = Block(
            header: block.header, signature: block.block.signature.array,
            transactions: [try chain.transaction(2).bytes])
        #expect(
            throws: ConsensusError.mismatch(
                "the transactions of block \(block.hash) do not match its header")
        ) {
            try check(swapped)
        }
        #expect(throws: ConsensusError.self) { try check(block.block, expected: .zero) }
    }

    @Test func badTransactionsAreTheLeadersFault() throws {
        func refused(_ transactions: [Transaction]) throws -> Bool {
            let bad = try chain.block(after: chain.genesis, stamp: 1, transactions: transactions)
            do {
                _ = try check(bad.block)
                return false
            } catch ConsensusError.invalidBlock {
                return true
            }
        }
        let good = try chain.transaction(1)
        #expect(try refused([good, good]), "twice")
        #expect(try refused([chain.transaction(1, chainID: "another")]))
        var bytes = good.bytes.array
        bytes[12] ^= 1
        #expect(try refused([Transaction(decoding: SharedBytes(bytes))]), "a broken signature")
        #expect(try !refused([good, chain.transaction(2)]))
    }

    /// A block of three pieces and a little, of which the mempool knows each seventh transaction. Each piece stops at what is
    /// wrong in it.
    @Test func theChecksOfABlockAreCutInPieces() throws {
        let transactions = try (1...60).map { try chain.transaction(UInt64($0)) }
        func check(_ transactions: [Transaction]) throws -> BlockCheck {
            let block = try chain.block(after: chain.genesis, stamp: 1, transactions: transactions).block
            return try BlockCheck(
                of: HashedBlock(hashing: block, expected: block.hash), chainID: TestChain.chainID
            ) { id in
                transactions.enumerated().first { $0.offset % 7 == 0 && $0.element.id == id }?.element
            }
        }
        let good = try check(transactions)
        #expect(good.pieces == 4)
        let pieces = try (0..<good.pieces).reversed().map { try good.check($0) }
        #expect(CheckedBlock(good, pieces.reversed()).transactions.map(\.id) == transactions.map(\.id))
        #expect(try CheckedBlock(good).transactions.map(\.id) == transactions.map(\.id))

        var bytes = transactions[40].bytes.array
        bytes[12] ^= 1
        let wrong = try Transaction(decoding: SharedBytes(bytes))
        let bad = try check(transactions.map { $0 === transactions[40] ? wrong : $0 })
        for number in 0..<bad.pieces where number != 2 { _ = try bad.check(number) }
        #expect(
            throws: ConsensusError.invalidBlock(
                height: 1, reason: "transaction \(wrong.id): \(ChainError.invalidSignature)")
        ) {
            try bad.check(2)
        }
    }
}
