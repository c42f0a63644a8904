/// The listener's side of multistream-select 1.0: takes the first offered protocol that it speaks.
///
/// libp2p connections specification, "multistream-select". A machine: feed it what arrives, send what it returns.
public struct MultistreamListener: Sendable {
    /// The most tokens a dialer may send before it names a protocol that is spoken here. A dialer offers a
    /// handful; one that goes on is guessing or stalling.
    public static let maximumTokens = 64

    /// What an offer that is declined, and a list of the protocols, cost in the units of `MessageCredit`.
    static let (declineCost, listCost) = (16, 64)

    private var tokens = 0
    /// What the dialer's offers have cost so far.
    private(set) var cost = 0
    private var reader = MultistreamTokenReader()

    /// A listener that has seen nothing yet.
    public init() {}

    /// Takes bytes from the dialer and chooses among `protocols`.
    ///
    /// Throws `malformed` or `tooLarge` for what is not a negotiation. Not to be called again after a selection
    /// or an error.
    public mutating func receive(
        _ bytes: UnsafeRawBufferPointer, protocols: [ProtocolID]
    ) throws(LibP2PError) -> MultistreamStep {
        var step = MultistreamStep()
        while step.selected == nil, let token = try reader.next(in: bytes, from: &step.consumed) {
            tokens &+= 1
            guard tokens <= Self.maximumTokens else { throw .tooLarge("negotiation") }
            if tokens == 1 {
                guard token.elementsEqual(MultistreamToken.header.utf8) else {
                    throw .malformed("negotiation: the dialer does not speak multistream-select 1.0")
                }
                MultistreamToken.append(MultistreamToken.header, to: &step.output)
            } else if let match = protocols.first(where: { token.elementsEqual($0.rawValue.utf8) }) {
                MultistreamToken.append(match.rawValue, to: &step.output)
                step.selected = match
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
