/// The 12 bytes in front of every yamux frame.
///
/// Yamux specification (hashicorp/yamux, spec.md, "Framing"): version, type, flags, stream ID and length, big-endian.
struct YamuxHeader: Equatable, Sendable {
    /// Number of bytes on the wire.
    static let size = 12

    /// What a frame is for.
    enum Kind: UInt8, Sendable {
        /// Bytes of a stream; `length` of them follow the header.
        case data = 0
        /// `length` more bytes may be sent on the stream.
        case windowUpdate = 1
        /// Liveness and round-trip time; `length` is an opaque value that comes back.
        case ping = 2
        /// The sender opens and takes no more streams; `length` is the reason.
        case goAway = 3
    }

    /// What a frame says about its stream's life.
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        /// Opens a stream, or asks for a ping's answer.
        static let syn = Flags(rawValue: 1)
        /// Accepts a stream, or answers a ping.
        static let ack = Flags(rawValue: 2)
        /// The sender sends no more on the stream.
        static let fin = Flags(rawValue: 4)
        /// The stream is over in both directions.
        static let rst = Flags(rawValue: 8)
        /// Every flag that has a meaning.
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

    /// Reads a header and refuses what the specification does not define. `bytes` holds at least `size` bytes.
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

    /// Bytes of content from which a data frame costs nothing: they pay for the work, and windows bound them.
    static let freeBody = 1_024

    /// What taking the frame costs beyond carrying its bytes, in the units of `MessageCredit`.
    var cost: Int {
        let opening = flags.contains(.syn) && streamID != 0 ? Self.openingCost : 0
        switch kind {
        case .data: return opening &+ (length >= Self.freeBody ? 0 : length > 0 ? 1 : 4)
        case .windowUpdate: return opening &+ Self.updateCost
        case .ping: return flags == .syn ? 8 : 4
        case .goAway: return 32
        }
    }

    /// A new stream: its state, a task, a choice of protocol.
    static let openingCost = 32
    /// A window update, or a flag alone.
    static let updateCost = 4

    /// Writes the header to the first `size` bytes of `target`, which must be there.
    func write(to target: UnsafeMutableRawBufferPointer) {
        target[0] = 0
        target[1] = kind.rawValue
        target.storeBytes(of: flags.rawValue.bigEndian, toByteOffset: 2, as: UInt16.self)
        target.storeBytes(of: streamID.bigEndian, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: length.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}
