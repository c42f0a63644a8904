import Bytes
import Crypto

/// The framing and ciphers of a connection after its Noise handshake, for both directions.
///
/// libp2p noise specification, "Wire Format": each message is preceded by its length as a big-endian u16.
///
/// Neither direction allocates or copies per frame. Outbound plaintext is encrypted straight into the send buffer. An inbound
/// frame is decrypted into its reader's memory if that waits, and otherwise in the receive buffer. A frame that spans reads is
/// decrypted as its pieces come, into its reader's memory or a buffer of the pool, which is given back when the frame is complete.
final class NoiseTransport {
    /// A frame that spans reads, without its length.
    private struct PartialFrame {
        enum Target {
            /// A reader's memory, which takes the whole plaintext.
            case reader(UnsafeMutableRawBufferPointer)
            case pooled(ByteBuffer)
        }

        var target: Target
        /// The size of the plaintext, and how much of it is in `target`.
        let count: Int
        var decrypted = 0
        var tag: (UInt64, UInt64) = (0, 0)
        var tagCount = 0

        var isComplete: Bool { decrypted == count && tagCount == NoiseXX.tagLength }

        var plaintext: UnsafeMutableRawBufferPointer {
            let memory =
                switch target {
                case .reader(let memory): memory
                case .pooled(let buffer): buffer.bytes
                }
            return UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
        }
    }

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
    private var partial: PartialFrame?

    /// Creates a transport with the handshake's two ciphers.
    init(
        sending: consuming NoiseCipherState, receiving: consuming NoiseCipherState, pool: FrameBufferPool
    ) {
        self.sending = sending
        self.receiving = receiving
        self.pool = pool
    }

    deinit {
        if case .pooled(let buffer) = partial?.target { pool.put(back: buffer) }
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
    /// `place` gets the number of plaintext bytes of a message, and whether all of it has arrived. It returns memory of that
    /// size to decrypt the message into, or nil. If the message has not arrived whole, the memory must stay valid until
    /// `deliver` gets it or `leavePlace` is called.
    func receive(
        _ bytes: UnsafeMutableRawBufferPointer,
        place: (_ count: Int, _ isWhole: Bool) -> UnsafeMutableRawBufferPointer? = { _, _ in nil },
        deliver: (UnsafeMutableRawBufferPointer) throws(LibP2PError) -> Void
    ) throws(LibP2PError) {
        var offset = 0
        while offset < bytes.count {
            if partial != nil {
                offset &+= try openNext(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                try finishPartial(deliver)
                continue
            }
            guard let length = takeLength(bytes, at: &offset) else { return }
            let count = length &- NoiseXX.tagLength
            guard count >= 0 else { throw .malformed("Noise frame: shorter than its tag") }
            if bytes.count &- offset >= length {
                let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset &+ length)])
                offset &+= length
                try deliver(try open(frame, place(count, true)))
            } else {
                let target = place(count, false).map { PartialFrame.Target.reader($0) }
                try receiving.beginOpening()
                partial = PartialFrame(target: target ?? .pooled(pool.take()), count: count)
            }
        }
    }

    private func open(
        _ frame: UnsafeMutableRawBufferPointer, _ target: UnsafeMutableRawBufferPointer?
    ) throws(LibP2PError) -> UnsafeMutableRawBufferPointer {
        guard let target else { return try receiving.open(frame) }
        try receiving.open(UnsafeRawBufferPointer(frame), into: target)
        return target
    }

    /// Takes the next bytes of the partial frame from the start of `bytes`. Returns their number.
    private func openNext(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) -> Int {
        guard var frame = partial else { return 0 }
        let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(frame.count &- frame.decrypted))
        let target = UnsafeMutableRawBufferPointer(rebasing: frame.plaintext[frame.decrypted...])
        try receiving.openNext(piece, into: target)
        frame.decrypted &+= piece.count
        var used = piece.count
        if frame.decrypted == frame.count {
            let rest = bytes[used...].prefix(NoiseXX.tagLength &- frame.tagCount)
            let filled = frame.tagCount
            withUnsafeMutableBytes(of: &frame.tag) { $0[filled...].copyBytes(from: rest) }
            frame.tagCount &+= rest.count
            used &+= rest.count
        }
        partial = frame
        return used
    }

    /// Delivers the partial frame if it is complete.
    private func finishPartial(
        _ deliver: (UnsafeMutableRawBufferPointer) throws(LibP2PError) -> Void
    ) throws(LibP2PError) {
        guard let frame = partial, frame.isComplete else { return }
        partial = nil
        defer { if case .pooled(let buffer) = frame.target { pool.put(back: buffer) } }
        try withUnsafeBytes(of: frame.tag) { (tag) throws(LibP2PError) in
            try receiving.finishOpening(tag: tag)
        }
        try deliver(frame.plaintext)
    }

    /// Moves the message that is being decrypted out of memory that `place` returned, which may then be freed.
    func leavePlace() {
        guard var frame = partial, case .reader = frame.target else { return }
        let buffer = pool.take()
        let plaintext = UnsafeRawBufferPointer(rebasing: frame.plaintext[..<frame.decrypted])
        buffer.bytes.copyMemory(from: plaintext)
        PathMeter.copied(plaintext.count)
        frame.target = .pooled(buffer)
        partial = frame
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
}
