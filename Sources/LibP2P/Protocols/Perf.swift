import Bytes
import Reactor

/// `/perf/1.0.0`: the initiator requests a number of bytes (big-endian u64), uploads any number itself and ends its
/// side. Then the responder sends the bytes requested.
///
/// libp2p perf specification. Off by default, because any peer could use up bandwidth.
@ReactorActor
public struct Perf: StreamProtocol {
    /// The protocol's only ID.
    public nonisolated static let ids: [ProtocolID] = [.perf]
    /// The size of one write, in bytes.
    static let chunkSize = 1 << 18
    /// The time limit of one chunk in either direction.
    static let timeout = Duration.seconds(60)

    /// The durations of the two halves of a measurement.
    public struct Result: Sendable {
        /// From the request until the responder has received all bytes, which its first byte or its close shows.
        public var upload: Duration
        /// From then until the last byte.
        public var download: Duration
    }

    /// Answers measurements.
    public init() {}

    /// Receives the peer's upload, then sends the bytes requested.
    public func serve(_ stream: Stream) async throws {
        stream.setTimeout(Self.timeout)
        var reader = ByteReader(try await stream.readExactly(8))
        let wanted = try reader.u64BE()
        try await Self.withBuffer { (buffer) async throws(LibP2PError) in
            repeat { stream.setTimeout(Self.timeout) } while try await stream.read(filling: buffer) > 0
        }
        try await Self.send(wanted, on: stream)
    }

    /// Uploads and downloads the given numbers of bytes. Throws `endOfStream` if fewer arrive.
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
                    throw .malformed("perf: more bytes than requested")
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
