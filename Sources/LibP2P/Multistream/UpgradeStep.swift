/// The result of a step of a negotiation or handshake.
struct UpgradeStep<Outcome> {
    /// The number of bytes used. The rest belongs to what follows.
    var consumed = 0
    /// Bytes to send to the peer.
    var output: [UInt8] = []
    /// The result, complete as soon as `output` has been sent; nil until then.
    var outcome: Outcome?
}
