import Crypto

/// Frames and ciphers of a connection after its Noise handshake: both directions of the byte path.
///
/// libp2p noise specification, "Wire Format": each message is preceded by its length as a big-endian u16.
///
/// Neither direction allocates for a frame. Outbound, plaintext is encrypted from where it lies to where it is sent
/// from. Inbound, a frame that lies whole in the receive buffer is decrypted there; only a frame that spans reads is
/// put together in a buffer, taken from the pool for as long as the frame is incomplete.
public final class NoiseTransport {
    /// The most plaintext bytes that one message carries.
    public static let maximumPlaintext = 65_535 - NoiseXX.tagLength
    /// Bytes that a message is longer on the wire than its plaintext: length and tag.
    public static let overhead = lengthBytes + NoiseXX.tagLength
    static let lengthBytes = 2

    /// What a message costs that brings so many bytes and no costly frame, in the units of `MessageCredit`: one that is
    /// empty, or a piece of a frame that a longer one could have brought.
    static func cost(of count: Int) -> Int { count >= YamuxHeader.freeBody ? 0 : count > 0 ? 1 : 4 }

    private var sending: NoiseCipherState
    private var receiving: NoiseCipherState
    private let pool: FrameBufferPool
    /// The first length byte of a frame whose second has not come.
    private var firstLengthByte: UInt8?
    /// A frame that spans reads, its length still missing from it.
    private var partial: FrameBufferPool.Buffer?
    private var partialLength = 0
    private var partialCount = 0

    /// A transport with the handshake's two keys, 32 bytes each.
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
    public var isIdle: Bool { partial == nil && firstLengthByte == nil }

    /// Encrypts up to `maximumPlaintext` bytes as one message and returns how many bytes of `target` it takes.
    ///
    /// `target` needs room for the plaintext and `overhead`. Throws `tooLarge` when either is not so and
    /// `nonceExhausted` when the connection has to be replaced.
    public func seal(
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

    /// One message with a few bytes of plaintext, for use before a connection has its buffers.
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

    /// Takes bytes from the peer and hands each whole message's plaintext to `deliver`, in order.
    ///
    /// `bytes` are overwritten. What `deliver` gets is valid during its call only. Throws `decryptionFailed` or
    /// `malformed` for a frame that the peer's cipher cannot have made; the connection is then of no more use.
    ///
    /// `place` is asked where a message of so many plaintext bytes belongs; what it gives must have that size and is
    /// decrypted to without a copy. Nil: where the message lies.
    public func receive(
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
        _ bytes: UnsafeMutableRawBufferPointer, from offset: Int, _ count: Int,
        to buffer: FrameBufferPool.Buffer
    ) {
        guard count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[partialCount..<(partialCount &+ count)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset &+ count)]))
        partialCount &+= count
    }
}
