import Crypto

/// The XX handshake of the Noise Protocol Framework with X25519, ChaCha20-Poly1305 and SHA-256: three messages after
/// which both sides know each other's static key and share two keys, one for each direction.
///
/// Noise Protocol Framework revision 34, sections 5 and 7.5: `-> e`, `<- e, ee, s, es`, `-> s, se`. A machine: both key
/// pairs come from outside. `NoiseHandshake` adds libp2p's payloads.
struct NoiseXX {
    /// The initiator sends the first message.
    enum Role: Sendable {
        case initiator
        case responder
    }

    static let protocolName = "Noise_XX_25519_ChaChaPoly_SHA256"
    /// The size of a public key, in bytes.
    static let keyLength = 32
    /// The size of the tag that authenticates an encrypted field, in bytes.
    static let tagLength = 16

    let role: Role
    /// The other side's static key; empty until it has been received.
    private(set) var remoteStatic: [UInt8] = []
    /// The number of messages written and read so far; the handshake is complete at 3.
    private(set) var messages = 0

    private var symmetric: NoiseSymmetricState
    private let staticKey: NoiseKeyPair
    private let ephemeral: NoiseKeyPair
    private var remoteEphemeral: [UInt8] = []

    /// Creates a handshake that has not begun. An ephemeral key pair must never serve two handshakes.
    init(
        role: Role, prologue: [UInt8] = [], staticKey: NoiseKeyPair, ephemeral: NoiseKeyPair
    ) throws(LibP2PError) {
        self.role = role
        self.staticKey = staticKey
        self.ephemeral = ephemeral
        symmetric = try NoiseSymmetricState(protocolName: Self.protocolName)
        symmetric.mix(hash: prologue)
    }

    /// The hash of everything exchanged so far.
    var handshakeHash: [UInt8] { symmetric.hash }

    var isComplete: Bool { messages == 3 }

    /// Whether it is this side's turn to write.
    var isWriting: Bool { !isComplete && (messages % 2 == 0) == (role == .initiator) }

    /// Returns the next handshake message, with a payload. Throws `malformed` if it is not this side's turn.
    mutating func write(payload: [UInt8]) throws(LibP2PError) -> [UInt8] {
        guard isWriting else { throw .malformed("Noise handshake: a message out of turn") }
        var message: [UInt8] = []
        switch messages {
        case 0:
            writeEphemeral(to: &message)
        case 1:
            writeEphemeral(to: &message)
            try mixEphemeralEphemeral()
            message += try symmetric.encryptAndHash(staticKey.publicKey)
            try mixResponderStatic()
        default:
            message += try symmetric.encryptAndHash(staticKey.publicKey)
            try mixInitiatorStatic()
        }
        message += try symmetric.encryptAndHash(payload)
        messages += 1
        return message
    }

    /// Reads the other side's next handshake message and returns its payload. Throws `malformed` if it is not the other
    /// side's turn.
    mutating func read(_ message: [UInt8]) throws(LibP2PError) -> [UInt8] {
        guard !isWriting, !isComplete else { throw .malformed("Noise handshake: a message out of turn") }
        var rest = message[...]
        switch messages {
        case 0:
            try readEphemeral(from: &rest)
        case 1:
            try readEphemeral(from: &rest)
            try mixEphemeralEphemeral()
            try readStatic(from: &rest)
            try mixResponderStatic()
        default:
            try readStatic(from: &rest)
            try mixInitiatorStatic()
        }
        let payload = try symmetric.decryptAndHash(Array(rest))
        messages += 1
        return payload
    }

    /// Returns the keys for the two directions. Throws `malformed` unless the handshake is complete.
    func split() throws(LibP2PError) -> (send: SecretBytes, receive: SecretBytes) {
        guard isComplete else { throw .malformed("Noise handshake: not complete") }
        let (first, second) = try symmetric.split()
        return role == .initiator ? (first, second) : (second, first)
    }

    private mutating func writeEphemeral(to message: inout [UInt8]) {
        message += ephemeral.publicKey
        symmetric.mix(hash: ephemeral.publicKey)
    }

    private mutating func readEphemeral(from rest: inout ArraySlice<UInt8>) throws(LibP2PError) {
        remoteEphemeral = try Self.take(Self.keyLength, from: &rest)
        symmetric.mix(hash: remoteEphemeral)
    }

    private mutating func readStatic(from rest: inout ArraySlice<UInt8>) throws(LibP2PError) {
        let field = try Self.take(Self.keyLength + Self.tagLength, from: &rest)
        remoteStatic = try symmetric.decryptAndHash(field)
    }

    private mutating func mixEphemeralEphemeral() throws(LibP2PError) {
        try symmetric.mix(key: try ephemeral.agree(with: remoteEphemeral))
    }

    /// The pattern's `es`: initiator's ephemeral with responder's static.
    private mutating func mixResponderStatic() throws(LibP2PError) {
        let own = role == .initiator ? ephemeral : staticKey
        try symmetric.mix(key: try own.agree(with: role == .initiator ? remoteStatic : remoteEphemeral))
    }

    /// The pattern's `se`: initiator's static with responder's ephemeral.
    private mutating func mixInitiatorStatic() throws(LibP2PError) {
        let own = role == .initiator ? staticKey : ephemeral
        try symmetric.mix(key: try own.agree(with: role == .initiator ? remoteEphemeral : remoteStatic))
    }

    private static func take(
        _ count: Int, from rest: inout ArraySlice<UInt8>
    ) throws(LibP2PError) -> [UInt8] {
        guard rest.count >= count else { throw .malformed("Noise handshake: a message is too short") }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
