import Bytes
import Chain
import Crypto
import Glibc
import TestSupport
import Testing

@testable import Storage

@Suite struct VoteLogTests {
    static func hash(_ text: String) -> Hash { Hash.sha256(of: [UInt8](text.utf8)) }

    static func vote(
        _ height: Int64, _ block: String = "block", stamp: Int64 = 1000, app: String? = "app"
    ) -> Vote {
        Vote(
            height: height, stamp: stamp, blockHash: hash("\(block) \(height)"),
            decision: app.map { .ack(appHash: hash($0)) } ?? .nack)
    }

    @Test func theLastVotesAreKept() throws {
        let directory = try TemporaryDirectory()
        var given: [Vote] = []
        #expect(try VoteLog(directory: directory.path).last == nil)
        for height in 1...50 as ClosedRange<Int64> {
            let log = try VoteLog(directory: directory.path)
            let vote = VoteLogTests.vote(height, app: height % 3 == 0 ? nil : "app \(height)")
            try log.record(vote)
            given.append(vote)
            #expect(log.votes == given.suffix(16))
            #expect(try VoteLog(directory: directory.path).votes == given.suffix(16))
        }
        #expect(try Tamper.length(directory.path + "/VOTES") == 4096)
    }

    @Test func theBlockOfTheLastVoteIsKept() throws {
        let directory = try TemporaryDirectory()
        let log = try VoteLog(directory: directory.path)
        #expect(try log.keptBlock() == nil)
        for count in [1, 100_000, 5] {
            let block = SharedBytes([UInt8](repeating: UInt8(count % 251), count: count))
            try log.keep(block)
            #expect(try VoteLog(directory: directory.path).keptBlock() == block)
        }
        try log.disk.open(log.blockPath, .readWrite).truncate(to: 10)
        #expect(try log.keptBlock() == nil, "cut short")
    }

    @Test func contradictionsAreRefusedAlsoAfterARestart() throws {
        let directory = try TemporaryDirectory()
        let last = VoteLogTests.vote(7, stamp: 500)
        try VoteLog(directory: directory.path).record(last)
        let contradictions = [
            VoteLogTests.vote(6, stamp: 900),
            VoteLogTests.vote(7, "other", stamp: 500),
            VoteLogTests.vote(7, "other", stamp: 499),
            VoteLogTests.vote(7, "other", stamp: 500, app: nil),
            VoteLogTests.vote(7, stamp: 500, app: "another app"),
            VoteLogTests.vote(7, stamp: 501, app: "another app"),
            VoteLogTests.vote(7, stamp: 500, app: nil),
        ]
        for vote in contradictions {
            let log = try VoteLog(directory: directory.path)
            let error = #expect(throws: StorageError.self) { try log.record(vote) }
            guard case .voteRefused(let line) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(!line.contains("\n"))
            #expect(log.votes == [last])
        }
    }

    @Test func whatAgreesIsAccepted() throws {
        let directory = try TemporaryDirectory()
        let log = try VoteLog(directory: directory.path)
        try log.record(VoteLogTests.vote(7, stamp: 500, app: nil))
        try log.record(VoteLogTests.vote(7, stamp: 500, app: nil))
        #expect(log.votes.count == 1)
        // A NACK stands until the block is proposed again.
        #expect(throws: StorageError.self) { try log.record(VoteLogTests.vote(7, stamp: 500)) }
        try log.record(VoteLogTests.vote(7, stamp: 501))
        try log.record(VoteLogTests.vote(7, "newer", stamp: 502))
        try log.record(VoteLogTests.vote(8, stamp: 10))
        #expect(log.votes.map(\.height) == [7, 7, 7, 8])
    }

    @Test func anOlderStampOfTheSameBlockDoesNotOpenADoor() throws {
        let directory = try TemporaryDirectory()
        let log = try VoteLog(directory: directory.path)
        try log.record(VoteLogTests.vote(7, stamp: 500))
        try log.record(VoteLogTests.vote(7, stamp: 400))
        #expect(log.last?.stamp == 500)
        #expect(throws: StorageError.self) { try log.record(VoteLogTests.vote(7, "other", stamp: 450)) }
    }

    @Test func aSingleFlippedByteLosesNoVote() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/VOTES"
        for count in [1, 16, 21] as [Int64] {
            _ = unlink(path)
            let log = try VoteLog(directory: directory.path)
            for height in 1...count { try log.record(VoteLogTests.vote(height)) }
            for offset in 0..<4096 {
                try Tamper.flip(path, at: offset, bit: offset % 8)
                defer { try? Tamper.flip(path, at: offset, bit: offset % 8) }
                do {
                    let damaged = try VoteLog(directory: directory.path)
                    #expect(damaged.votes == log.votes)
                } catch {
                    // Only in an unused slot, which the damage makes look used.
                    #expect(offset / 256 > count || offset / 256 == 0)
                    #expect(count < 16)
                    let start = offset / 256 * 256
                    guard case .corrupted(path, start, _) = error else { throw error }
                }
            }
        }
    }

    @Test func aVoteCutOffWhileWrittenIsOldOrNew() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/VOTES"
        let log = try VoteLog(directory: directory.path)
        for height in 1...20 as ClosedRange<Int64> { try log.record(VoteLogTests.vote(height)) }
        let before = try SystemDisk.shared.open(path, .read).read(at: 0, count: 4096)
        try log.record(VoteLogTests.vote(21))
        let after = try SystemDisk.shared.open(path, .read).read(at: 0, count: 4096)
        let start = 21 % 16 * 256
        for length in 0...256 {
            let torn = before[..<start] + after[start..<start + length] + before[(start + length)...]
            try SystemDisk.shared.open(path, .readWrite).write([UInt8](torn), at: 0)
            let votes = try VoteLog(directory: directory.path).votes
            #expect(votes.last?.height == (length < VoteRecord.size ? 20 : 21), "\(length)")
        }
    }

    @Test func aFileOfAnotherSizeIsRefused() throws {
        for length in [0, 1, 4095, 4097] {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/VOTES"
            try VoteLog(directory: directory.path).record(VoteLogTests.vote(1))
            try Tamper.truncate(path, to: length)
            #expect(
                throws: StorageError.corrupted(path: path, offset: length, "a vote log has 4096 bytes")
            ) { try VoteLog(directory: directory.path) }
        }
    }

    @Test func aVoteThatVanishedIsMissed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/VOTES"
        let log = try VoteLog(directory: directory.path)
        for height in 1...20 as ClosedRange<Int64> { try log.record(VoteLogTests.vote(height)) }
        try SystemDisk.shared.open(path, .readWrite).write(
            [UInt8](repeating: 0, count: 256), at: 18 % 16 * 256)
        #expect(throws: StorageError.corrupted(path: path, offset: 512, "a vote is missing")) {
            try VoteLog(directory: directory.path)
        }
    }
}
