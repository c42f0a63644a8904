/// What a step of a negotiation asks for and how far it has come.
public struct MultistreamStep: Equatable, Sendable {
    /// How many of the given bytes belonged to the negotiation. The rest is the chosen protocol's.
    public var consumed = 0
    /// Bytes for the peer, in order.
    public var output: [UInt8] = []
    /// The protocol agreed on; nil while the negotiation goes on.
    public var selected: ProtocolID?
}

/// The dialer's side of multistream-select 1.0: offers protocols in order of preference until one is taken.
///
/// libp2p connections specification, "multistream-select". A machine: feed it what arrives, send what it returns.
///
/// The header and the first offer leave together. A dialer with one protocol may go further and send the
/// protocol's own bytes right behind them (`mayWriteEarly`): either the listener confirms, or the exchange fails as a
/// whole. What arrives still has to pass through `receive` until it reports the selection.
public struct MultistreamDialer: Sendable {
    /// The token that comes next.
    private enum Awaited {
        case header
        /// The answer to the offer of `protocols[offer]`.
        case answer(offer: Int)
    }

    private let protocols: [ProtocolID]
    private var awaited = Awaited.header
    private var reader = MultistreamTokenReader()

    /// A dialer that offers `protocols`, the most wanted first.
    public init(_ protocols: [ProtocolID]) {
        self.protocols = protocols
    }

    /// Whether bytes of the protocol may follow the offer before the listener has confirmed it.
    public var mayWriteEarly: Bool { protocols.count == 1 }

    /// The bytes that open the negotiation: the header and the first offer.
    public func start() -> [UInt8] {
        var output: [UInt8] = []
        MultistreamToken.append(MultistreamToken.header, to: &output)
        if let first = protocols.first {
            MultistreamToken.append(first.rawValue, to: &output)
        }
        return output
    }

    /// Takes bytes from the listener.
    ///
    /// Throws `malformed` or `tooLarge` for what is not a negotiation and `protocolNotSupported` when the listener
    /// has declined every offer. Not to be called again after a selection or an error.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) -> MultistreamStep {
        var step = MultistreamStep()
        while step.selected == nil, let token = try reader.next(in: bytes, from: &step.consumed) {
            switch awaited {
            case .header:
                guard token.elementsEqual(MultistreamToken.header.utf8) else {
                    throw .malformed("negotiation: the listener does not speak multistream-select 1.0")
                }
                awaited = .answer(offer: 0)
            case .answer(let offer):
                guard offer < protocols.count else { throw .protocolNotSupported(protocols) }
                if token.elementsEqual(protocols[offer].rawValue.utf8) {
                    step.selected = protocols[offer]
                } else if token.elementsEqual(MultistreamToken.notAvailable.utf8) {
                    let next = offer &+ 1
                    guard next < protocols.count else { throw .protocolNotSupported(protocols) }
                    MultistreamToken.append(protocols[next].rawValue, to: &step.output)
                    awaited = .answer(offer: next)
                } else {
                    throw .malformed("negotiation: the listener answered with another protocol than offered")
                }
            }
        }
        return step
    }
}
