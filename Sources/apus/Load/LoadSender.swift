import Crypto

/// One account of a load.
struct LoadSender: Sendable {
    /// Its row in the table.
    let number: Int
    let key: PrivateKey

    /// The account as the table of grants has it.
    var account: String { key.publicKey.nodeID }
}

/// The nonces that a sender uses next. A nonce that the node refused is used again, or all later transactions of the sender
/// would wait for it.
struct LoadNonces: Sendable {
    private var next: UInt64
    /// Refused ones, in ascending order.
    private var free: [UInt64] = []

    init(after last: UInt64) { next = last &+ 1 }

    mutating func take() -> UInt64 {
        if !free.isEmpty { return free.removeFirst() }
        defer { next &+= 1 }
        return next
    }

    /// Takes back refused nonces, in ascending order.
    mutating func giveBack(_ nonces: [UInt64]) { free = (nonces + free).sorted() }
}
