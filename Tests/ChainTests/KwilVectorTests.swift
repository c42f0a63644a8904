import Bytes
import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

/// Every entry of `kwil.json`.
@Suite struct KwilVectorTests {
    let vectors: KwilVectors

    init() throws { vectors = try KwilVectors.load() }

    @Test func keysAndAccounts() throws {
        for entry in vectors.keys {
            let key = try PublicKey(type: KeyType(name: entry.type), bytes: Hex.decode(entry.public))
            let account = AccountID(key)
            #expect(hex(account.bytes) == entry.account)
            #expect(try AccountID(decoding: bytes(entry.account)) == account)
            #expect(account.description == entry.nodeId)
            #expect(AccountID(text: entry.nodeId) == account)
            #expect(key.nodeID == entry.nodeId)
            #expect(hex(key.wire) == entry.wire)
            #expect(key.peerID.description == entry.peerId)
        }
    }

    @Test func transactions() throws {
        for entry in vectors.transactions {
            let transaction = try Transaction(decoding: bytes(entry.bytes))
            #expect(transaction.id.description == entry.txid)
            #expect(transaction.body.description == entry.description)
            #expect(hex(transaction.body.payload) == entry.payload)
            #expect(transaction.body.payloadType == entry.payloadType)
            #expect(transaction.body.fee?.description == entry.fee)
            #expect(transaction.body.nonce == entry.nonce)
            #expect(transaction.body.chainID == entry.chainId)
            #expect(transaction.serialization.rawValue == entry.serialization)
            #expect(hex(transaction.signedMessage) == entry.signedMessage)
            #expect(hex(transaction.bodyBytes) == entry.body)
            #expect(hex(transaction.body.bytes) == entry.body)
            try transaction.verify()
            #expect(try hex(Payload(of: transaction.body).bytes) == entry.payload)
            let key = try vectors.key(entry.key)
            #expect(transaction.account == AccountID(key.publicKey))
            let signed = try Transaction.signed(
                transaction.body, serialization: transaction.serialization, by: key)
            #expect(hex(signed.bytes) == entry.bytes)
        }
    }

    @Test func validatorSetHash() throws {
        let members = try vectors.validatorSet.validators.map {
            Validator(key: try PublicKey(nodeID: $0.nodeId), power: $0.power)
        }
        let set = ValidatorSet(members.reversed())
        #expect(set.hash.description == vectors.validatorSet.hash)
        #expect(set.count == 4)
        #expect(set.quorum == 3)
        #expect(set.totalPower == 5)
    }

    @Test func networkParametersHash() throws {
        for entry in [vectors.networkParameters, vectors.published.networkParameters] {
            let leader =
                if let type = entry.leaderType {
                    try PublicKey(type: KeyType(name: type), bytes: Hex.decode(entry.leader))
                } else {
                    try PublicKey(nodeID: entry.leader)
                }
            var parameters = NetworkParameters(leader: leader)
            parameters.maxBlockSize = entry.maxBlockSize
            parameters.joinExpiry = entry.joinExpiryNs
            parameters.disabledGasCosts = entry.disabledGasCosts
            parameters.maxVotesPerTransaction = entry.maxVotesPerTx
            parameters.migrationStatus = entry.migrationStatus
            #expect(parameters.hash.description == entry.hash)
        }
    }

    @Test func blocks() throws {
        let leader = try vectors.leader
        let key = try vectors.key(0)
        for entry in vectors.blocks {
            let block = try Block(decoding: bytes(entry.bytes))
            #expect(block.hash.description == entry.hash)
            #expect(block.height == entry.height)
            #expect(block.transactions.count == entry.transactions)
            #expect(hex(block.header.bytes) == entry.header)
            #expect(try BlockHeader(decoding: bytes(entry.header)) == block.header)
            #expect(block.header.hash == block.hash)
            #expect(hex(block.signature) == entry.signature)
            let hashed = try HashedBlock(hashing: block)
            #expect(MerkleTree.root(of: hashed.transactionIDs).description == entry.merkleRoot)
            #expect(block.verifySignature(leader))
            #expect(!block.verifySignature(try vectors.key(1).publicKey))
            let transactions = try block.transactions.map { try Transaction(decoding: $0) }
            for transaction in transactions { try transaction.verify() }
            let again = Block.signed(block.header, transactions: transactions, by: key)
            #expect(hex(again.bytes) == entry.bytes)
            #expect(again == block)
        }
    }

    @Test func commitInfos() throws {
        for entry in vectors.blocks {
            let block = try Block(decoding: bytes(entry.bytes))
            let info = try CommitInfo(decoding: bytes(entry.commitInfo))
            #expect(info.appHash.description == entry.appHash)
            #expect(hex(info.bytes) == entry.commitInfo)
            for vote in info.votes { #expect(vote.verify(block: block.hash, appHash: info.appHash)) }
            #expect(!info.votes.isEmpty)
        }
    }

    @Test func announcementsAndProposals() throws {
        let leader = try vectors.leader
        for entry in vectors.blocks {
            let block = try Block(decoding: bytes(entry.bytes))
            let info = try CommitInfo(decoding: bytes(entry.commitInfo))
            let announcement = try BlockAnnouncement(decoding: bytes(entry.announcement))
            #expect(announcement == BlockAnnouncement(block, info))
            #expect(hex(announcement.bytes) == entry.announcement)
            #expect(announcement.verify(leader))
            #expect(!announcement.verify(try vectors.key(1).publicKey))
            let proposal = try BlockProposal(decoding: bytes(entry.proposal))
            #expect(proposal == BlockProposal(block, sender: leader))
            #expect(hex(proposal.bytes) == entry.proposal)
            #expect(proposal.verify(leader))
            #expect(!proposal.verify(try vectors.key(1).publicKey))
        }
    }

    @Test func acknowledgements() throws {
        for entry in vectors.acks {
            let ack = try AckRes(decoding: bytes(entry.bytes))
            #expect(hex(ack.bytes) == entry.bytes)
            #expect(ack.verify())
            let key = try vectors.key(entry.key)
            #expect(ack.signature.publicKey == key.publicKey)
            let again = AckRes(height: ack.height, block: ack.block, answer: ack.answer, by: key)
            #expect(hex(again.bytes) == entry.bytes)
            switch (entry.kind, ack.answer) {
            case ("ack", .ack), ("invalid_block", .invalidBlock): break
            case ("out_of_sync", .outOfSync(let best, let signature)):
                #expect(try vectors.leader.verify(signature, of: best.hash))
            default: Issue.record("\(entry.kind) decoded as \(ack.answer)")
            }
        }
    }

    @Test func resets() throws {
        for entry in vectors.resets {
            let reset = try ConsensusReset(decoding: bytes(entry.bytes))
            #expect(reset.height == entry.toHeight)
            #expect(reset.transactions.map(\.description) == entry.txids)
            #expect(hex(reset.bytes) == entry.bytes)
        }
    }
}
