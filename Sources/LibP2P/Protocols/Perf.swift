import Bytes
import Reactor

/// `/perf/1.0.0`: the initiator asks for a number of bytes (big-endian u64) and uploads as many as it likes. Once it has closed
/// its side, the responder sends what it asked for.
///
/// libp2p perf specification. Off by default: it lets any peer use up bandwidth.
@ReactorActor
public struct Perf: StreamProtocol {
    /// The protocol's only ID.
    public nonisolated static let ids: [ProtocolID] = [.perf]
    /// Bytes handed to a stream at a time.
    static let chunkSize = 1 << 18
    /// How long one chunk may take in either direction.
    static let timeout = Duration.seconds(60)

    /// How long the two halves of a measurement took.
    public struct Result: Sendable {
        /// From the request until the responder had everything: the first byte of its answer, or its close.
        public var upload: Duration
        /// From there until the last byte.
        public var download: Duration
    }

    /// Answers measurements.
    public init() {}

    /// Takes what the peer uploads, then sends what it asked for.
    public func serve(_ stream: Stream) async throws {
        stream.setTimeout(Self.timeout)
        var reader = ByteReader(try await stream.readExactly(8))
        let wanted = try reader.u64BE()
        try await Self.withBuffer { (buffer) async throws(LibP2PError) in
            repeat { stream.setTimeout(Self.timeout) } while try await stream.read(into: buffer) > 0
        }
        try await Self.send(wanted, on: stream)
    }

    /// Uploads and downloads that many bytes. Throws `endOfStream` if fewer come back.
    public static func measure(
        upload: UInt64, download: UInt64, on stream: Stream
    ) async throws(LibP2PError) -> Result {
        var request = ByteWriter()
        request.putBE(u64: download)
        let start = Reactor.now
        stream.setTimeout(timeout)
        try await stream.write(request.bytes)
        try await send(upload, on: stream)
        stream.closeWrite()
        var received: UInt64 = 0
        var turned: Duration?
        try await withBuffer { (buffer) async throws(LibP2PError) in
            while true {
                stream.setTimeout(timeout)
                let count = try await stream.read(into: buffer)
                if turned == nil { turned = Reactor.now }
                guard count > 0 else { return }
                received += UInt64(count)
                guard received <= download else {
                    throw .malformed("perf: more bytes came than were asked for")
                }
            }
        }
        guard received == download else { throw .endOfStream }
        stream.close()
        let end = Reactor.now
        let middle = turned ?? end
        return Result(upload: middle - start, download: end - middle)
    }

    private static func send(_ count: UInt64, on stream: Stream) async throws(LibP2PError) {
        let chunk = SharedBytes([UInt8](repeating: 0, count: chunkSize))
        var left = count
        while left > 0 {
            let size = Int(min(left, UInt64(chunkSize)))
            stream.setTimeout(timeout)
            try await stream.write(size == chunkSize ? chunk : chunk.slice(0..<size))
            left -= UInt64(size)
        }
    }

    private static func withBuffer(
        _ body: @ReactorActor (UnsafeMutableRawBufferPointer) async throws(LibP2PError) -> Void
    ) async throws(LibP2PError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize, alignment: 64)
        defer { buffer.deallocate() }
        try await body(buffer)
    }
}

extension ProtocolID {
    /// Throughput measurement.
    public static let perf: ProtocolID = "/perf/1.0.0"
}
