import Chain

/// Times and sizes in the stream protocols (docs/wire.md, section 7).
enum ProtocolLimits {
    /// For a request or an announcement, to be written or to arrive.
    static let request = Duration.seconds(5)
    /// For a peer's identify to come after its stream.
    static let identify = Duration.seconds(2)
    /// For the peer's `get` after an announcement.
    static let answer = Duration.seconds(5)
    /// For a transaction, in either direction.
    static let transaction = Duration.seconds(20)
    /// To receive a block.
    static let receiveBlock = Duration.seconds(90)
    /// For the first byte of a block that is requested only to see whether it comes.
    static let firstByte = Duration.seconds(10)
    /// To send a block.
    static let sendBlock = Duration.seconds(45)
    /// Bytes of an answer to a discovery request.
    static let discoveryBytes = 1_000_000
    /// Bytes of a block after which the requester is told that it is coming.
    static let progressBytes = 64 << 10
    /// Bytes of transactions of a block that are written together, unless one is longer.
    static let gatheredBytes = 16 << 10
    /// Bytes of a header in an announcement: the fields and a new leader.
    static let headerBytes = 512
    /// Bytes of a signature in an announcement.
    static let signatureBytes = 65
}
