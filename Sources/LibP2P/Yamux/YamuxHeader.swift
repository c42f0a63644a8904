/// The 12-byte header of every yamux frame.
///
/// Yamux specification (hashicorp/yamux, spec.md, "Framing"): version, type, flags, stream ID and length, big-endian.
struct YamuxHeader: Equatable, Sendable {
    /// The size on the wire, in bytes.
    static let size = 12
    /// The reason in a go-away after a breach of the protocol.
    static let protocolViolation: UInt32 = 1

    /// The type of a frame.
    enum Kind: UInt8, Sendable {
        /// Bytes of a stream; `length` of them follow the header.
        case data = 0
        /// `length` more bytes may be sent on the stream.
        case windowUpdate = 1
        /// A test of liveness and round-trip time; `length` is an opaque value that the answer repeats.
        case ping = 2
        /// The sender opens and accepts no more streams; `length` is the reason.
        case goAway = 3
    }

    /// Changes of the stream's state, or the direction of a ping.
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        /// Opens a stream, or requests an answer to a ping.
        static let syn = Flags(rawValue: 1)
        /// Accepts a stream, or answers a ping.
        static let ack = Flags(rawValue: 2)
        /// Ends the sender's bytes.
        static let fin = Flags(rawValue: 4)
        /// Ends the stream in both directions.
        static let rst = Flags(rawValue: 8)
        /// All defined flags.
        static let known: Flags = [.syn, .ack, .fin, .rst]
    }

    var kind: Kind
    var flags: Flags
    var streamID: UInt32
    var length: UInt32

    init(_ kind: Kind, flags: Flags = [], streamID: UInt32 = 0, length: UInt32 = 0) {
        self.kind = kind
        self.flags = flags
        self.streamID = streamID
        self.length = length
    }

    /// Reads a header from the first `size` bytes and throws if it violates the specification.
    init(_ bytes: UnsafeRawBufferPointer) throws(YamuxError) {
        guard bytes.count >= Self.size else { throw .truncatedHeader }
        guard bytes[0] == 0 else { throw .unknownVersion(bytes[0]) }
        guard let kind = Kind(rawValue: bytes[1]) else { throw .unknownType(bytes[1]) }
        let flags = Flags(
            rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        self.init(
            kind, flags: flags,
            streamID: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
            length: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        try check()
    }

    private func check() throws(YamuxError) {
        guard flags.isSubset(of: .known) else { throw .badFlags(flags.rawValue) }
        switch kind {
        case .data, .windowUpdate:
            guard streamID != 0 else { throw .badStreamID(0) }
            guard !flags.isSuperset(of: [.syn, .ack]) else { throw .badFlags(flags.rawValue) }
        case .ping:
            guard streamID == 0 else { throw .badStreamID(streamID) }
            guard flags == .syn || flags == .ack else { throw .badFlags(flags.rawValue) }
        case .goAway:
            guard streamID == 0 else { throw .badStreamID(streamID) }
            guard flags.isEmpty else { throw .badFlags(flags.rawValue) }
        }
    }

    /// The number of bytes from which a data frame costs nothing: its content justifies the work, and windows bound it.
    static let freeBody = 1_024

    /// The cost of handling the frame beyond carrying its bytes, in the units of `MessageCredit`.
    var cost: Int {
        let opening = flags.contains(.syn) && streamID != 0 ? Self.openingCost : 0
        switch kind {
        case .data: return opening &+ (length >= Self.freeBody ? 0 : length > 0 ? 1 : 4)
        case .windowUpdate: return opening &+ Self.updateCost
        case .ping: return flags == .syn ? 8 : 4
        case .goAway: return 32
        }
    }

    /// The cost of a new stream: its state, a task and the negotiation of a protocol.
    static let openingCost = 32
    /// The cost of a window update, or of a flag alone.
    static let updateCost = 4

    /// Writes the header to the first `size` bytes of `target`, which must have them.
    func write(to target: UnsafeMutableRawBufferPointer) {
        target[0] = 0
        target[1] = kind.rawValue
        target.storeBytes(of: flags.rawValue.bigEndian, toByteOffset: 2, as: UInt16.self)
        target.storeBytes(of: streamID.bigEndian, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: length.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}
