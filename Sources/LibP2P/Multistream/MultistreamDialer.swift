/// The dialer's side of multistream-select 1.0: offers protocols in order of preference until one is accepted.
///
/// libp2p connections specification, "multistream-select". A machine: feed it the bytes received, send the bytes it
/// returns.
///
/// The header and the first offer leave together. A dialer with one protocol may also send the protocol's own bytes
/// right after them (`mayWriteEarly`): either the listener confirms, or the whole exchange fails. Received bytes must
/// still pass through `receive` until it reports the selection.
struct MultistreamDialer: Sendable {
    /// The next token.
    private enum Awaited {
        case header
        /// The answer to the offer of `protocols[offer]`.
        case answer(offer: Int)
    }

    private let protocols: [ProtocolID]
    private var awaited = Awaited.header
    private var reader = MultistreamTokenReader()

    /// Creates a dialer that offers `protocols`, in order of preference.
    init(_ protocols: [ProtocolID]) {
        self.protocols = protocols
    }

    /// Whether bytes of the protocol may follow the offer before the listener has confirmed it.
    var mayWriteEarly: Bool { protocols.count == 1 }

    /// Returns the first bytes to send: the header and the first offer.
    func start() -> [UInt8] {
        var output: [UInt8] = []
        MultistreamToken.append(MultistreamToken.header, to: &output)
        if let first = protocols.first {
            MultistreamToken.append(first.rawValue, to: &output)
        }
        return output
    }

    /// Handles bytes from the listener.
    ///
    /// Throws `malformed` or `tooLarge` if the listener breaks the protocol, and `protocolNotSupported` when it has
    /// declined every offer. Do not call it again after a selection or an error.
    mutating func receive(
        _ bytes: UnsafeRawBufferPointer
    ) throws(LibP2PError) -> UpgradeStep<ProtocolID> {
        var step = UpgradeStep<ProtocolID>()
        while step.outcome == nil, let token = try reader.next(in: bytes, from: &step.consumed) {
            switch awaited {
            case .header:
                guard token.elementsEqual(MultistreamToken.header.utf8) else {
                    throw .malformed("negotiation: the listener does not speak multistream-select 1.0")
                }
                awaited = .answer(offer: 0)
            case .answer(let offer):
                guard offer < protocols.count else { throw .protocolNotSupported(protocols) }
                if token.elementsEqual(protocols[offer].rawValue.utf8) {
                    step.outcome = protocols[offer]
                } else if token.elementsEqual(MultistreamToken.notAvailable.utf8) {
                    let next = offer &+ 1
                    guard next < protocols.count else { throw .protocolNotSupported(protocols) }
                    MultistreamToken.append(protocols[next].rawValue, to: &step.output)
                    awaited = .answer(offer: next)
                } else {
                    throw .malformed("negotiation: the listener answered with a protocol not offered")
                }
            }
        }
        return step
    }
}
