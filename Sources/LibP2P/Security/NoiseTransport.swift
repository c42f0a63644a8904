import Bytes
import Crypto

/// The framing and ciphers of a connection after its Noise handshake, for both directions.
///
/// libp2p noise specification, "Wire Format": each message is preceded by its length as a big-endian u16.
///
/// Neither direction allocates per frame. Outbound plaintext is encrypted straight into the send buffer. An inbound
/// frame that lies whole in the receive buffer is decrypted there; only a frame that spans reads is assembled in a
/// buffer of the pool, which is given back when the frame is complete.
final class NoiseTransport {
    /// The most plaintext bytes that one message carries.
    static let maximumPlaintext = 65_535 - NoiseXX.tagLength
    /// The number of bytes that a message adds to its plaintext on the wire: length and tag.
    static let overhead = lengthBytes + NoiseXX.tagLength
    static let lengthBytes = 2

    /// The cost of a message with `count` bytes and no costly frame, in the units of `MessageCredit`. An empty message
    /// costs most; a short piece of a frame could have been part of a longer message.
    static func cost(of count: Int) -> Int { count >= YamuxHeader.freeBody ? 0 : count > 0 ? 1 : 4 }

    private var sending: NoiseCipherState
    private var receiving: NoiseCipherState
    private let pool: FrameBufferPool
    /// The first length byte of a frame whose second has not arrived.
    private var firstLengthByte: UInt8?
    /// A frame that spans reads, without its length.
    private var partial: ByteBuffer?
    private var partialLength = 0
    private var partialCount = 0

    /// Creates a transport with the handshake's two ciphers.
    init(
        sending: consuming NoiseCipherState, receiving: consuming NoiseCipherState, pool: FrameBufferPool
    ) {
        self.sending = sending
        self.receiving = receiving
        self.pool = pool
    }

    deinit {
        if let partial { pool.put(back: partial) }
    }

    /// Whether no part of a frame is held.
    var isIdle: Bool { partial == nil && firstLengthByte == nil }

    /// Encrypts up to `maximumPlaintext` bytes as one message and returns its length in `target`.
    ///
    /// `target` needs room for the plaintext and `overhead`. Throws `tooLarge` if the plaintext is too long or the room
    /// too small, and `nonceExhausted` if the connection must be replaced.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(LibP2PError) -> Int {
        guard plaintext.count <= Self.maximumPlaintext, target.count >= plaintext.count &+ Self.overhead
        else {
            throw .tooLarge("Noise message")
        }
        let length = plaintext.count &+ NoiseXX.tagLength
        target[0] = UInt8(truncatingIfNeeded: length >> 8)
        target[1] = UInt8(truncatingIfNeeded: length)
        let end = Self.lengthBytes &+ length
        try sending.seal(
            plaintext, into: UnsafeMutableRawBufferPointer(rebasing: target[Self.lengthBytes..<end]))
        return end
    }

    /// Returns a message with a few bytes of plaintext, for use before a connection has its buffers.
    func sealed(_ plaintext: [UInt8]) throws(LibP2PError) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: plaintext.count + Self.overhead)
        _ = try plaintext.span.bytes.withUnsafeBytes { (source) throws(LibP2PError) in
            var span = frame.mutableSpan
            var bytes = span.mutableBytes
            return try bytes.withUnsafeMutableBytes { (target) throws(LibP2PError) in
                try seal(source, into: target)
            }
        }
        return frame
    }

    /// Handles bytes from the peer and passes the plaintext of each complete message to `deliver`, in order.
    ///
    /// Overwrites `bytes`. The plaintext is valid only during the call of `deliver`. Throws `decryptionFailed` or
    /// `malformed` for an invalid frame, after which the connection must be closed.
    ///
    /// `place` gets the number of plaintext bytes of a message and returns memory of that size to decrypt it into, or
    /// nil to decrypt it in place.
    func receive(
        _ bytes: UnsafeMutableRawBufferPointer,
        place: (Int) -> UnsafeMutableRawBufferPointer? = { _ in nil },
        deliver: (UnsafeMutableRawBufferPointer) throws(LibP2PError) -> Void
    ) throws(LibP2PError) {
        var offset = 0
        while offset < bytes.count {
            if let buffer = partial {
                let count = min(partialLength &- partialCount, bytes.count &- offset)
                copy(bytes, from: offset, count, to: buffer)
                offset &+= count
                guard partialCount == partialLength else { return }
                partial = nil
                defer { pool.put(back: buffer) }
                let frame = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<partialLength])
                try deliver(try open(frame, place))
                continue
            }
            guard let length = takeLength(bytes, at: &offset) else { return }
            guard length >= NoiseXX.tagLength else { throw .malformed("Noise frame: shorter than its tag") }
            if bytes.count &- offset >= length {
                let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset &+ length)])
                offset &+= length
                try deliver(try open(frame, place))
            } else {
                let buffer = pool.take()
                partial = buffer
                partialLength = length
                partialCount = 0
                let count = bytes.count &- offset
                copy(bytes, from: offset, count, to: buffer)
                offset &+= count
            }
        }
    }

    private func open(
        _ frame: UnsafeMutableRawBufferPointer, _ place: (Int) -> UnsafeMutableRawBufferPointer?
    ) throws(LibP2PError) -> UnsafeMutableRawBufferPointer {
        guard let target = place(frame.count &- NoiseXX.tagLength) else { return try receiving.open(frame) }
        try receiving.open(UnsafeRawBufferPointer(frame), into: target)
        return target
    }

    private func takeLength(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Int? {
        let first: UInt8
        if let firstLengthByte {
            first = firstLengthByte
            self.firstLengthByte = nil
        } else {
            first = bytes[offset]
            offset &+= 1
            guard offset < bytes.count else {
                firstLengthByte = first
                return nil
            }
        }
        let second = bytes[offset]
        offset &+= 1
        return Int(first) << 8 | Int(second)
    }

    private func copy(
        _ bytes: UnsafeMutableRawBufferPointer, from offset: Int, _ count: Int, to buffer: ByteBuffer
    ) {
        guard count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[partialCount..<(partialCount &+ count)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset &+ count)]))
        PathMeter.copied(count)
        partialCount &+= count
    }
}
