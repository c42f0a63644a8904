import Bytes
import LibP2P
import Log
import Multiformats
import Reactor

/// The gossip topics (docs/protocols.md, "Topics").
enum GossipTopic {
    /// Validators' answers to proposals.
    static let acknowledgements: RawText = "acks"
    /// The leader's resets, which withdraw proposals.
    static let reset: RawText = "reset"
    /// The leader's statements of stamps that are not their blocks' times. Apus nodes only.
    static let stamp: RawText = "/apus/stamps/1.0.0"
    /// Requests for best heights. The data is empty.
    static let heightRequest: RawText = "discovery_request"
    /// Answers with the author's best height.
    static let heightAnswer: RawText = "discovery_response"
    /// Statements of the processes that run with a validator's key. Apus nodes only.
    static let processes: RawText = "/apus/processes/1.0.0"
}

extension Gossipsub {
    /// Publishes a message. A failure is only logged, because the data is published again or also travels on streams.
    func publish(_ topic: RawText, _ data: [UInt8], log: Log) {
        do throws(LibP2PError) {
            try publish(topic, data)
        } catch {
            log.debug("not published", ["topic": .text(topic.string), "reason": .error(error)])
        }
    }
}
