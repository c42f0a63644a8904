import Bytes
import Chain
import Crypto
import Log
import TestSupport
import Testing

@testable import Node

/// Unconfirmed transactions survive an orderly stop of the node.
@Suite(.serialized, .timeLimit(.minutes(5))) struct MempoolFileTests {
    private static let entries = (0..<20).map {
        MempoolFile.Entry(
            isOwn: $0 % 3 == 0, bytes: SharedBytes([UInt8](repeating: UInt8($0), count: $0 * 7 + 1)))
    }

    private static func file(in directory: TemporaryDirectory, limit: Int = 1 << 20) -> MempoolFile {
        MempoolFile(path: "\(directory.path)/mempool", genesis: Hash.sha256(of: [1]), limit: limit)
    }

    @Test func writtenTransactionsAreReadAgain() throws {
        let directory = try TemporaryDirectory()
        let file = Self.file(in: directory)
        #expect(try file.read().isEmpty, "there is no file yet")
        #expect(try file.write(Self.entries) == Self.entries.count)
        #expect(try file.read() == Self.entries)
        #expect(try file.write([]) == 0)
        #expect(!TestFile.exists(file.path))
    }

    @Test func theFirstOnesFit() throws {
        let directory = try TemporaryDirectory()
        let file = Self.file(in: directory, limit: 500)
        let count = try file.write(Self.entries)
        #expect((3..<20).contains(count))
        let read = try file.read()
        #expect(read.count == count)
        #expect(read.prefix(3) == Self.entries.prefix(3))
    }

    @Test func everyFlippedBitAndEveryCutIsNoticed() throws {
        let directory = try TemporaryDirectory()
        let file = Self.file(in: directory)
        let content = file.encode(Self.entries).content
        for place in stride(from: 0, to: content.count, by: 3) {
            var damaged = content
            damaged[place] ^= 0x10
            #expect(throws: MempoolFile.Failure.self) { try file.decode(damaged) }
            #expect(throws: MempoolFile.Failure.self) { try file.decode(Array(content[..<place])) }
        }
        let other = MempoolFile(path: file.path, genesis: .zero, limit: file.limit)
        #expect(throws: MempoolFile.Failure.self) { try other.decode(content) }
    }

    /// An unreadable file does not cost new transactions their place; it is moved aside and kept.
    @Test func anUnreadableFileMakesRoom() throws {
        let directory = try TemporaryDirectory()
        let large = Self.file(in: directory)
        _ = try large.write(Self.entries)
        let small = Self.file(in: directory, limit: 200)
        #expect(try small.add([]) == 0)
        #expect(try large.read() == Self.entries, "its place is not needed")
        #expect(try small.add(Array(Self.entries[..<2])) == 2)
        #expect(try small.read() == Array(Self.entries[..<2]))
        let old = try FileContent.read(small.path + ".old", limit: 1 << 20)
        #expect(old == large.encode(Self.entries).content)
        // A readable file keeps its transactions, behind new ones of own clients.
        #expect(try large.add(Array(Self.entries[2..<4])) == 4)
        #expect(try large.read() == [3, 0, 2, 1].map { Self.entries[$0] })
    }

    /// A mempool reduced in size has no room for the old file, but for later transactions.
    @Test func aSmallerMempoolKeepsWhatWaitsLater() async throws {
        let lines = LogLines()
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            try await network.start("leader")
            await network.stop("leader")
            let path = network.root("leader").mempoolFile
            let file = MempoolFile(path: path, genesis: network.genesis.hash, limit: 5_000_000)
            let bytes = SharedBytes([UInt8](repeating: 1, count: 4_000_000))
            _ = try file.write([.init(isOwn: true, bytes: bytes)])
            let log = Log(source: "node", level: .info, sink: lines)
            let node = try await network.start("leader", log: log) { $0.mempool.maxSize = 1_000_000 }
            try await LocalNetwork.wait { lines.having("are lost") == nil ? "nothing is logged" : nil }
            #expect(lines.having("more than 2048576 bytes")?.contains("kept=\(path).old") == true)
            let waiting = try network.transaction("SELECT 1", nonce: 2)
            _ = try await node.broadcast(waiting.bytes, waitForCommit: false)
            await network.stop("leader")
            let again = try await network.start("leader") { $0.mempool.maxSize = 1_000_000 }
            try await LocalNetwork.wait {
                await again.status().mempoolCount == 1 ? nil : "the transaction is gone"
            }
        }
    }

    @Test func unconfirmedTransactionsSurviveARestart() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            try await network.commit(LocalNetwork.createTable, at: "leader")
            let insert = "INSERT INTO t (id, name) VALUES (1, 'a')"
            // The second transaction waits for the first, which is not sent yet.
            let second = try network.transaction(insert, nonce: 3)
            _ = try await node.broadcast(second.bytes, waitForCommit: false)
            let sender = AccountID(network.owner.publicKey)
            #expect(await node.pendingNonce(sender) == 1)
            await network.stop("leader")
            let root = network.root("leader")
            #expect(TestFile.exists(root.mempoolFile))
            let again = try await network.start("leader")
            try await LocalNetwork.wait {
                await again.status().mempoolCount == 1 ? nil : "the transaction is gone"
            }
            let first = try network.transaction("DELETE FROM t", nonce: 2)
            _ = try await again.broadcast(first.bytes, waitForCommit: true)
            try await LocalNetwork.wait {
                let nonce = try await again.account(sender)?.nonce
                return nonce == 3 ? nil : "it is not committed: nonce \(nonce ?? 0)"
            }
            try await LocalNetwork.wait {
                TestFile.exists(root.mempoolFile) ? "the file is still there" : nil
            }
        }
    }

    @Test func aDamagedFileIsWarnedOf() async throws {
        let lines = LogLines()
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            let waiting = try network.transaction("SELECT 1", nonce: 2)
            _ = try await node.broadcast(waiting.bytes, waitForCommit: false)
            await network.stop("leader")
            let file = network.root("leader").mempoolFile
            var content = try FileContent.read(file, limit: 1 << 20)
            content[content.count / 2] ^= 1
            try FileContent.replace(file, content)
            let again = try await network.start(
                "leader", log: Log(source: "node", level: .info, sink: lines))
            try await LocalNetwork.wait { lines.having("are lost") == nil ? "nothing is logged" : nil }
            #expect(lines.having("the checksum does not match") != nil)
            #expect(await again.status().mempoolCount == 0)
        }
    }
}
