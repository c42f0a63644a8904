import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// How readers and writers see the end of each direction of a stream, and its failure.
@Suite struct StreamStateTests {
    private static let test: ProtocolID = "/test/1.0.0"

    /// Runs `body` with both ends of a stream that has carried one byte each way.
    private func run(
        _ body:
            @escaping @ReactorActor @Sendable (_ ours: LibP2P.Stream, _ theirs: LibP2P.Stream) async throws
            -> Void
    ) throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try HostPair()
            let (served, done) = (WaitQueue(), WaitQueue())
            var theirs: LibP2P.Stream?
            pair.listener.register(Self.test) { stream in
                guard let bytes = try? await stream.readExactly(1) else { return }
                try? await stream.write(bytes)
                theirs = stream
                served.wakeAll()
                _ = await done.wait()
            }
            try await pair.connect()
            let ours = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            try await ours.write([1])
            while theirs == nil { _ = await served.wait() }
            #expect(try await ours.readExactly(1) == [1])
            try await body(ours, try #require(theirs))
            done.wakeAll()
            await pair.stop()
        }
    }

    /// An operation on a stream in a task of its own.
    @ReactorActor
    private final class Operation {
        private(set) var error: LibP2PError?
        private var task: Task<Void, Never>?

        /// Starts `body` and lets it run for a while.
        init(_ body: @escaping @ReactorActor @Sendable () async throws(LibP2PError) -> Void) async throws {
            task = Reactor.spawn { [self] in
                do throws(LibP2PError) { try await body() } catch { self.error = error }
            }
            try await Reactor.sleep(for: .milliseconds(100))
        }

        func cancel() { task?.cancel() }

        /// The error of the operation, once it has ended.
        var outcome: LibP2PError? {
            get async {
                await task?.value
                return error
            }
        }
    }

    @Test func aResetAfterAHalfCloseFailsTheRead() throws {
        try run { ours, theirs in
            ours.closeWrite()
            let read = try await Operation { () async throws(LibP2PError) in _ = try await ours.read(upTo: 1)
            }
            theirs.reset()
            #expect(await read.outcome == .streamReset)
            #expect(ours.failure == .streamReset && ours.slot == nil)
            await #expect(throws: LibP2PError.streamReset) { try await ours.write([2]) }
            #expect(theirs.failure == .streamClosed)
        }
    }

    @Test func closingWhileAWriteWaitsResetsTheStream() throws {
        try run { ours, theirs in
            let write = try await Operation { () async throws(LibP2PError) in
                try await ours.write([UInt8](repeating: 1, count: 1 << 20))
            }
            #expect(ours.isBlocked && ours.sendProgress.isBlocked)
            ours.closeWrite()
            #expect(await write.outcome == .streamClosed)
            try await Reactor.sleep(for: .milliseconds(100))
            #expect(theirs.failure == .streamReset)
        }
    }

    @Test func aCancelledWriteResetsTheStreamAlsoWhenItIsClosedMeanwhile() throws {
        try run { ours, theirs in
            let write = try await Operation { () async throws(LibP2PError) in
                try await ours.write([UInt8](repeating: 1, count: 1 << 20))
            }
            write.cancel()
            ours.closeWrite()
            #expect(await write.outcome != nil)
            let read = try await Operation { () async throws(LibP2PError) in
                _ = try await theirs.readToEnd(limit: 1 << 20)
            }
            // The bytes before the reset are not mistaken for the whole content.
            #expect(await read.outcome == .streamReset)
        }
    }

    @Test func aReadThatWaitsEndsWithTheStream() throws {
        try run { ours, theirs in
            let read = try await Operation { () async throws(LibP2PError) in _ = try await ours.read(upTo: 1)
            }
            ours.close()
            #expect(await read.outcome == .streamClosed)
            await #expect(throws: LibP2PError.streamClosed) { _ = try await ours.read(upTo: 1) }
            await #expect(throws: LibP2PError.streamClosed) { try await ours.write([2]) }
            #expect(try await theirs.read(upTo: 1) == [])
            theirs.closeWrite()
            try await Reactor.sleep(for: .milliseconds(100))
            #expect(ours.slot == nil && ours.failure == nil && theirs.slot == nil && theirs.failure == nil)
        }
    }

    @Test func whatCameBeforeAnEndIsReadAfterTheConnection() throws {
        try run { ours, theirs in
            try await theirs.write([2, 3, 4])
            theirs.closeWrite()
            try await Reactor.sleep(for: .milliseconds(100))
            ours.connection.close()
            #expect(ours.failure == .connectionClosed)
            #expect(try await ours.read(upTo: 2) == [2, 3])
            #expect(try await ours.readToEnd(limit: 10) == [4])
            #expect(try await ours.read(upTo: 1) == [])
            await #expect(throws: LibP2PError.connectionClosed) { try await ours.write([1]) }
        }
    }

    @Test func whatCameWithoutAnEndIsLostWithTheConnection() throws {
        try run { ours, theirs in
            try await theirs.write([2, 3, 4])
            try await Reactor.sleep(for: .milliseconds(100))
            ours.connection.close()
            await #expect(throws: LibP2PError.connectionClosed) { _ = try await ours.read(upTo: 2) }
        }
    }

    @Test func oneReadAndOneWriteAtATime() throws {
        try run { ours, theirs in
            let read = try await Operation { () async throws(LibP2PError) in _ = try await ours.readExactly(1)
            }
            await #expect(throws: LibP2PError.limitReached("one read at a time on a stream")) {
                _ = try await ours.read(upTo: 1)
            }
            let write = try await Operation { () async throws(LibP2PError) in
                try await ours.write([UInt8](repeating: 1, count: 1 << 20))
            }
            await #expect(throws: LibP2PError.limitReached("one write at a time on a stream")) {
                try await ours.write([1])
            }
            theirs.reset()
            #expect(await read.outcome == .streamReset)
            #expect(await write.outcome == .streamReset)
        }
    }

    /// The deadline of a stream that has ended in order has no effect.
    @Test func aLateDeadlineLeavesACompletedStreamAlone() throws {
        try run { ours, theirs in
            try await theirs.write([2])
            theirs.closeWrite()
            ours.closeWrite()
            try await Reactor.sleep(for: .milliseconds(100))
            ours.setTimeout(.zero)
            try await Reactor.sleep(for: .milliseconds(100))
            #expect(try await ours.readToEnd(limit: 10) == [2])
            #expect(ours.failure == nil)
        }
    }
}
