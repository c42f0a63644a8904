import Chain
import LibP2P

/// The one table of what an error says about the peer. Nil means that the network or this node may be at fault.
///
/// A peer's score decides what its misbehaviours lead to (docs/peers.md, "Conduct").
extension Misbehaviour {
    /// For an error that ends a dialogue begun by the peer (`HostConfiguration.misbehaviour`).
    ///
    /// Wrong content does not count here: whether the leader signed it, or the chain has it, depends on how far this node has
    /// come, so consensus judges it.
    public static func ofDialler(_ error: any Error) -> Misbehaviour? {
        switch error {
        case let error as LibP2PError: error.misbehaviour
        case ProtocolsError.malformed, is ChainError: .malformed
        case ProtocolsError.forged: .wrongContent
        case ProtocolsError.stalled: .stalling
        default: nil
        }
    }

    /// For an error that ends a dialogue begun by this node. An answer that cannot be read is not what was asked for.
    public static func ofResponder(_ error: ProtocolsError) -> Misbehaviour? {
        switch error {
        case .malformed, .refused, .wrongContent, .forged: .wrongContent
        case .stream(let error): error.misbehaviour == nil ? nil : .wrongContent
        case .stalled: .stalling
        case .busy: nil
        }
    }
}
