import Bytes
import LibP2P
import Log
import Multiformats
import Reactor

/// Gossip topics (docs/wire.md, section 7).
enum GossipTopic {
    /// Validators' answers to proposals.
    static let acknowledgements: RawText = "acks"
    /// The leader's withdrawals.
    static let reset: RawText = "reset"
    /// The leader's word about stamps that are not their blocks' times. Of Apus nodes only.
    static let stamp: RawText = "/apus/stamps/1.0.0"
    /// Who is how high? Empty.
    static let heightRequest: RawText = "discovery_request"
    /// The author's best height.
    static let heightAnswer: RawText = "discovery_response"
    /// Which processes run with a validator's key. Apus' own.
    static let processes: RawText = "/apus/processes/1.0.0"
}

extension Gossipsub {
    /// Publishes, and logs if that fails: what is published is repeated, or travels on streams as well.
    func publish(_ topic: RawText, _ data: [UInt8], log: Log) {
        do throws(LibP2PError) {
            try publish(topic, data)
        } catch {
            log.debug("not published", ["topic": .text(topic.string), "reason": .error(error)])
        }
    }
}
