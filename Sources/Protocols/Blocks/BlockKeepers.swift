import LibP2P
import Multiformats
import Reactor

/// The validators that vote on a block: those that may pass on its transactions.
@ReactorActor
public struct BlockKeepers {
    /// The validators, in the order of their set.
    let validators: [PeerID]
    /// This node's place among them.
    let own: Int
    /// The host that asks them.
    let host: Host

    /// Takes the validators in the order of their set, and this node's place among them.
    public init(_ validators: [PeerID], own: Int, host: Host) {
        (self.validators, self.own, self.host) = (validators, own, host)
    }
}
