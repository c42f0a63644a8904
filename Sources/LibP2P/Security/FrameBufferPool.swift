import Bytes

/// Buffers for Noise frames that span reads, shared by a host's connections.
///
/// A connection holds one only while it has part of a frame, so that idle connections hold none. Not thread-safe.
final class FrameBufferPool {
    /// The size of the longest frame, in bytes.
    static let bufferSize = 65_535
    /// The most buffers kept for reuse. Frames are assembled one at a time on one thread, and otherwise only
    /// connections in the middle of a frame hold a buffer; more idle ones would only serve a burst.
    static let kept = 16

    private var free: [ByteBuffer] = []

    func take() -> ByteBuffer { free.popLast() ?? ByteBuffer(count: Self.bufferSize) }

    func put(back buffer: ByteBuffer) {
        if free.count < Self.kept { free.append(buffer) }
    }
}
