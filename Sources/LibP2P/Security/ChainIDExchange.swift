/// The second half of `/noise-chainID`: after the Noise handshake each side names its chain, the dialer first.
///
/// docs/wire.md, section 6: the raw connection carries a big-endian u16 length and the chain ID. A machine: feed it the
/// bytes received, send the bytes it returns.
struct ChainIDExchange {
    /// The longest chain ID, in bytes of UTF-8, as in kwil-db.
    static let maximumLength = 4_096

    private let chainID: [UInt8]
    private let dialing: Bool
    private var received: [UInt8] = []

    /// Creates an exchange that has not begun. Throws `tooLarge` if the host's own chain ID is too long.
    init(chainID: String, dialing: Bool) throws(LibP2PError) {
        self.chainID = Array(chainID.utf8)
        self.dialing = dialing
        guard self.chainID.count <= Self.maximumLength else { throw .tooLarge("chain ID") }
    }

    /// Returns the dialer's message; empty for a listener.
    func start() -> [UInt8] { dialing ? message : [] }

    /// The result of a step: the number of bytes used, bytes to send, and whether the exchange is over.
    typealias Step = (consumed: Int, output: [UInt8], isDone: Bool)

    /// Handles bytes from the peer. The exchange is over once the peer's chain ID has arrived and equals the host's.
    ///
    /// Throws `wrongChain` or `tooLarge`.
    mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) -> Step {
        var offset = 0
        while offset < bytes.count {
            received.append(bytes[offset])
            offset &+= 1
            guard received.count >= 2 else { continue }
            let length = Int(received[0]) << 8 | Int(received[1])
            guard length <= Self.maximumLength else { throw .tooLarge("chain ID") }
            guard received.count == 2 &+ length else { continue }
            guard received.dropFirst(2).elementsEqual(chainID) else { throw .wrongChain }
            return (offset, dialing ? [] : message, true)
        }
        return (offset, [], false)
    }

    private var message: [UInt8] {
        [UInt8(truncatingIfNeeded: chainID.count >> 8), UInt8(truncatingIfNeeded: chainID.count)] + chainID
    }
}
