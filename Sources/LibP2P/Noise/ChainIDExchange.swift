/// The second half of `/noise-chainID`: after the Noise handshake each side names its chain, the dialer first.
///
/// docs/wire.md, section 6: the raw connection carries a big-endian u16 length and the chain ID. A machine: feed it
/// what arrives, send what it returns.
struct ChainIDExchange {
    /// The longest chain ID, in bytes of UTF-8, as kwil-db has it.
    static let maximumLength = 4_096

    private let chainID: [UInt8]
    private let dialing: Bool
    private var received: [UInt8] = []

    /// An exchange in which nothing has been sent. Throws `tooLarge` if the host's own chain ID cannot be sent.
    init(chainID: String, dialing: Bool) throws(LibP2PError) {
        self.chainID = Array(chainID.utf8)
        self.dialing = dialing
        guard self.chainID.count <= Self.maximumLength else { throw .tooLarge("chain ID") }
    }

    /// The dialer's message; empty for a listener.
    func start() -> [UInt8] { dialing ? message : [] }

    /// What a step asks for: how many bytes were used, bytes for the peer, whether the exchange is over.
    typealias Step = (consumed: Int, output: [UInt8], isDone: Bool)

    /// Takes bytes from the peer; done once its chain ID has come and is the host's own.
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
