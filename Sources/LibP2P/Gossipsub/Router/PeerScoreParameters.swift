import Bytes
import Multiformats

/// The parameters of peer scoring, with the specification's names in parentheses.
///
/// gossipsub 1.1 specification, "Peer Scoring". Weights and thresholds share one scale, on which a peer below -200 is
/// ignored. Decay factors apply once per `decayInterval`.
public struct PeerScoreParameters: Sendable {
    /// The parameters of one topic.
    public struct Topic: Sendable {
        /// The weight of the topic among others.
        public var weight = 1.0

        /// Points for each quantum in the mesh (P1), up to `timeInMeshCap` quanta. The total stays below
        /// `opportunisticGraftThreshold`, because mere presence is no merit.
        public var timeInMeshWeight = 0.02
        /// The length of a quantum.
        public var timeInMeshQuantum = Duration.seconds(1)
        /// The most quanta that count.
        public var timeInMeshCap = 100.0

        /// Points for each message that the peer sent first (P2).
        public var firstDeliveriesWeight = 0.5
        /// Half is forgotten in two minutes.
        public var firstDeliveriesDecay = 0.994_24
        /// Messages that count.
        public var firstDeliveriesCap = 40.0

        /// Points, negative, for the square of the number of expected messages that a mesh peer did not send (P3).
        /// Zero, the default, suits topics without steady traffic, where silence is no fault.
        public var meshDeliveriesWeight = 0.0
        /// Half is forgotten in one minute.
        public var meshDeliveriesDecay = 0.988_51
        /// The decayed number of messages expected.
        public var meshDeliveriesThreshold = 10.0
        /// Messages that count.
        public var meshDeliveriesCap = 40.0
        /// The time in the mesh before any are expected.
        public var meshDeliveriesActivation = Duration.seconds(30)
        /// How long after a message was accepted another copy still counts.
        public var meshDeliveriesWindow = Duration.milliseconds(10)
        /// Points, negative, for the squares of the numbers of messages missing when the peer left the mesh (P3b).
        public var meshFailureWeight = 0.0
        /// Half is forgotten in five minutes.
        public var meshFailureDecay = 0.997_69

        /// Points, negative, for the square of the number of invalid messages (P4): the fourth gets the peer ignored.
        public var invalidWeight = -20.0
        /// Half is forgotten in ten minutes.
        public var invalidDecay = 0.998_85

        /// Parameters for a topic with rare messages: each counts for more, and fewer count. The defaults suit a topic with
        /// bursts of messages and silence between them.
        public static var rare: Topic {
            var topic = Topic()
            topic.firstDeliveriesWeight = 1
            topic.firstDeliveriesCap = 5
            return topic
        }
    }

    /// Topics with parameters of their own.
    public var topics: [RawText: Topic] = [:]
    /// The parameters of all other topics; nil if they do not count.
    public var otherTopics: Topic? = Topic()

    /// Returns the parameters of a topic; nil if it does not count.
    func topic(_ name: RawText) -> Topic? { topics[name] ?? otherTopics }

    /// The most points that all topics together can add (TopicCap). The points that they deduct have no limit.
    public var topicCap = 100.0

    /// The weight of the application's score (P5).
    public var applicationWeight = 1.0
    /// Points, negative, for the square of the number of excess peers at one IP address (P6).
    public var colocationWeight = -10.0
    /// The number of peers that may share one, such as an operator's sentries behind one router.
    public var colocationThreshold = 8
    /// Points, negative, for the square of misbehaviour beyond the threshold (P7).
    public var behaviourWeight = -10.0
    /// The misbehaviour that is tolerated, because clocks and networks differ.
    public var behaviourThreshold = 4.0
    /// Half is forgotten in one minute.
    public var behaviourDecay = 0.988_51

    /// Below this a peer is offered nothing and its offers are ignored.
    public var gossipThreshold = -50.0
    /// Below this a peer is not sent what this host publishes.
    public var publishThreshold = -100.0
    /// Below this everything from a peer is ignored.
    public var graylistThreshold = -200.0
    /// From this score on, the peers that a peer names in PRUNE are used: more than messages alone can add in a short
    /// time.
    public var acceptPeerExchangeThreshold = 50.0
    /// While the median of a mesh is below this, better peers are grafted.
    public var opportunisticGraftThreshold = 3.0

    /// The time between two decays.
    public var decayInterval = Duration.seconds(1)
    /// Smaller counters are set to zero.
    public var decayToZero = 0.01
    /// How long the score of a peer that has left is kept, unchanged.
    public var retention = Duration.seconds(3_600)
}
