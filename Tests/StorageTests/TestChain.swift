import Bytes
import Chain
import Crypto
import TestSupport

@testable import Storage

/// A deterministic chain of signed blocks of signed transactions.
struct TestChain {
    /// A block with its commit info and results.
    struct Link {
        let hashed: HashedBlock
        let commitInfo: CommitInfo
        let results: [TransactionResult]

        var block: Block { hashed.block }

        var size: Int {
            let results = ResultList(results).bytes.count
            let whole = BlockRecord.headerSize + block.bytes.count + commitInfo.bytes.count + results
            return (whole + 7) / 8 * 8
        }
    }

    private(set) var links: [Link] = []

    /// Creates `count` blocks from `height` on; block n has `transactions(n)` transactions with payloads of `payload`
    /// bytes.
    init(
        _ count: Int, from height: Int64 = 1, payload: Int = 60, transactions: (Int) -> Int = { $0 % 4 }
    ) throws {
        let leader = try PrivateKey(ed25519Seed: [UInt8](repeating: 1, count: 32))
        let sender = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 7, count: 32))
        var nonce: UInt64 = 0
        for number in 0..<count {
            let height = height + Int64(number)
            let bodies = (0..<transactions(number)).map { _ in
                nonce += 1
                return TransactionBody(
                    payload: SharedBytes(
                        [UInt8](repeating: UInt8(truncatingIfNeeded: nonce), count: payload)),
                    payloadType: "raw_statement", nonce: nonce, chainID: "test")
            }
            let signed = try bodies.map { try Transaction.signed($0, by: sender) }
            let last = links.last
            let header = BlockHeader(
                height: height, transactionCount: 0, previousHash: last?.block.hash ?? .zero,
                previousAppHash: last?.commitInfo.appHash ?? .zero, validatorSetHash: .zero,
                networkParametersHash: .zero, timestamp: 1_700_000_000_000 + UInt64(number), merkleRoot: .zero
            )
            let block = Block.signed(header, transactions: signed, by: leader)
            let appHash = Hash.sha256(of: block.hash)
            let vote = VoteInfo(
                signature: VoteSignature(block.hash, appHash: appHash, by: leader), status: .agreed)
            links.append(
                Link(
                    hashed: HashedBlock(block, madeOf: signed),
                    commitInfo: CommitInfo(appHash: appHash, votes: [vote]),
                    results: signed.indices.map {
                        TransactionResult(
                            code: UInt32($0), gas: height, log: String(repeating: "x", count: $0))
                    }))
        }
    }

    /// Appends blocks to a store.
    func append(_ range: Range<Int>, to store: BlockStore) throws {
        for link in links[range] { try store.append(link.hashed, link.commitInfo, link.results) }
    }
}

extension TemporaryDirectory {
    /// The paths of the segments, in order.
    var segments: [String] {
        get throws {
            try TestFile.names(in: path).filter { $0.hasSuffix(".blocks") }.map { path + "/" + $0 }
        }
    }
}

/// Changes to files behind a store's back.
enum Tamper {
    static func length(_ path: String) throws -> Int { try SystemDisk.shared.open(path, .read).length() }

    static func truncate(_ path: String, to length: Int) throws {
        try SystemDisk.shared.open(path, .readWrite).truncate(to: length)
    }

    /// Inverts one bit.
    static func flip(_ path: String, at offset: Int, bit: Int = 0) throws {
        let file = try SystemDisk.shared.open(path, .readWrite)
        let byte = try file.read(at: offset, count: 1)
        try file.write([byte[0] ^ 1 << UInt8(bit)], at: offset)
    }
}
