/// The second half of `/noise-chainID`: after the Noise handshake each side names its chain, the dialer first.
///
/// docs/wire.md, section 6: the raw connection carries a big-endian u16 length and the chain ID. A machine: feed it the
/// bytes received, send the bytes it returns.
struct ChainIDExchange {
    /// The longest chain ID, in bytes of UTF-8, as in kwil-db.
    static let maximumLength = 4_096

    private let chainID: [UInt8]
    private let dialing: Bool
    private var reader = ShortMessageReader(.u16, limit: maximumLength, name: "chain ID")

    /// Creates an exchange that has not begun. Throws `tooLarge` if the host's own chain ID is too long.
    init(chainID: String, dialing: Bool) throws(LibP2PError) {
        self.chainID = Array(chainID.utf8)
        self.dialing = dialing
        guard self.chainID.count <= Self.maximumLength else { throw .tooLarge("chain ID") }
    }

    /// Returns the dialer's message; empty for a listener.
    func start() -> [UInt8] { dialing ? NoiseHandshake.framed(chainID) : [] }

    /// Handles bytes from the peer. The exchange is over once the peer's chain ID has arrived and equals the host's.
    ///
    /// Throws `wrongChain` or `tooLarge`.
    mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) -> UpgradeStep<Void> {
        var step = UpgradeStep<Void>()
        guard let received = try reader.next(in: bytes, from: &step.consumed) else { return step }
        guard received == chainID else { throw .wrongChain }
        if !dialing { step.output = NoiseHandshake.framed(chainID) }
        step.outcome = ()
        return step
    }
}
