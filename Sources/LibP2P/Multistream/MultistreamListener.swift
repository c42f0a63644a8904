/// The listener's side of multistream-select 1.0: accepts the first offered protocol that it supports.
///
/// libp2p connections specification, "multistream-select". A machine: feed it the bytes received, send the bytes it
/// returns.
struct MultistreamListener: Sendable {
    /// The most tokens a dialer may send before it names a supported protocol. A dialer offers a handful; one that
    /// sends more is guessing or stalling.
    static let maximumTokens = 64

    /// The cost of a declined offer and of a list of the protocols, in the units of `MessageCredit`.
    static let (declineCost, listCost) = (16, 64)

    private var tokens = 0
    /// The cost of the dialer's offers so far.
    private(set) var cost = 0
    private var reader = MultistreamTokenReader()

    /// Handles bytes from the dialer and chooses among `protocols`.
    ///
    /// Throws `malformed` or `tooLarge` if the dialer breaks the protocol. Do not call it again after a selection or an
    /// error.
    mutating func receive(
        _ bytes: UnsafeRawBufferPointer, protocols: [ProtocolID]
    ) throws(LibP2PError) -> UpgradeStep<ProtocolID> {
        var step = UpgradeStep<ProtocolID>()
        while step.outcome == nil, let token = try reader.next(in: bytes, from: &step.consumed) {
            tokens &+= 1
            guard tokens <= Self.maximumTokens else { throw .tooLarge("negotiation") }
            if tokens == 1 {
                guard token.elementsEqual(MultistreamToken.header.utf8) else {
                    throw .malformed("negotiation: the dialer does not speak multistream-select 1.0")
                }
                MultistreamToken.append(MultistreamToken.header, to: &step.output)
            } else if let match = protocols.first(where: { token.elementsEqual($0.rawValue.utf8) }) {
                MultistreamToken.append(match.rawValue, to: &step.output)
                step.outcome = match
            } else if token.elementsEqual(MultistreamToken.list.utf8) {
                var list: [UInt8] = []
                for id in protocols {
                    MultistreamToken.append(id.rawValue, to: &list)
                }
                MultistreamToken.append(bytes: list, to: &step.output)
                cost &+= Self.listCost
            } else {
                MultistreamToken.append(MultistreamToken.notAvailable, to: &step.output)
                cost &+= Self.declineCost
            }
        }
        return step
    }
}
