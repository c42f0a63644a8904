import Bytes
import Multiformats

/// The numbers of peer scoring; the specification's names stand behind them.
///
/// gossipsub 1.1 specification, "Peer Scoring". Weights and thresholds have one scale: -200 is a peer that is not
/// listened to any more. Decay factors are for one `decayInterval`.
public struct PeerScoreParameters: Sendable {
    /// What counts in one topic.
    public struct Topic: Sendable {
        /// How much the topic counts beside others.
        public var weight = 1.0

        /// Points for each quantum in the mesh (P1), at most `timeInMeshCap` quanta. All of it together stays below
        /// `opportunisticGraftThreshold`: being there is no merit.
        public var timeInMeshWeight = 0.02
        /// Time that counts once.
        public var timeInMeshQuantum = Duration.seconds(1)
        /// Quanta that count.
        public var timeInMeshCap = 100.0

        /// Points for each message that the peer brought first (P2).
        public var firstDeliveriesWeight = 0.5
        /// Half is forgotten in two minutes.
        public var firstDeliveriesDecay = 0.994_24
        /// Messages that count.
        public var firstDeliveriesCap = 40.0

        /// Points, negative, for the square of what a mesh peer lacks of the messages expected of it (P3). Zero, the
        /// default, for topics without steady traffic: silence there is no fault.
        public var meshDeliveriesWeight = 0.0
        /// Half is forgotten in one minute.
        public var meshDeliveriesDecay = 0.988_51
        /// Messages expected, decayed.
        public var meshDeliveriesThreshold = 10.0
        /// Messages that count.
        public var meshDeliveriesCap = 40.0
        /// Time in the mesh before any are expected.
        public var meshDeliveriesActivation = Duration.seconds(30)
        /// How long after the first copy was accepted another still counts.
        public var meshDeliveriesWindow = Duration.milliseconds(10)
        /// Points, negative, for what a peer lacked each time it left the mesh (P3b).
        public var meshFailureWeight = 0.0
        /// Half is forgotten in five minutes.
        public var meshFailureDecay = 0.997_69

        /// Points, negative, for the square of the number of invalid messages (P4): the fourth one is the last.
        public var invalidWeight = -20.0
        /// Half is forgotten in ten minutes.
        public var invalidDecay = 0.998_85

        /// A topic with bursts of messages and silence between them.
        public init() {}

        /// A topic in which messages are rare: each counts for more, few count.
        public static var rare: Topic {
            var topic = Topic()
            topic.firstDeliveriesWeight = 1
            topic.firstDeliveriesCap = 5
            return topic
        }
    }

    /// Topics with numbers of their own.
    public var topics: [RawText: Topic] = [:]
    /// For all other topics that are subscribed to; nil: they do not count.
    public var otherTopics: Topic? = Topic()

    /// The numbers of a topic; nil if it does not count.
    func topic(_ name: RawText) -> Topic? { topics[name] ?? otherTopics }

    /// The most that all topics together can bring (TopicCap). What they cost has no bound.
    public var topicCap = 100.0

    /// Weight of what the application says (P5).
    public var applicationWeight = 1.0
    /// Points, negative, for the square of how many peers too many share an IP address (P6).
    public var colocationWeight = -10.0
    /// Peers that may share one: sentries of one operator behind one router.
    public var colocationThreshold = 8
    /// Points, negative, for the square of misbehaviour beyond the threshold (P7).
    public var behaviourWeight = -10.0
    /// Misbehaviour that is let pass: clocks and networks differ.
    public var behaviourThreshold = 4.0
    /// Half is forgotten in one minute.
    public var behaviourDecay = 0.988_51

    /// Below this there is no gossip with a peer: nothing offered, no offer taken.
    public var gossipThreshold = -50.0
    /// Below this a peer is not sent what this host publishes.
    public var publishThreshold = -100.0
    /// Below this nothing of a peer is looked at.
    public var graylistThreshold = -200.0
    /// From this on peers that a peer names in PRUNE are believed: more than messages can bring in a short time.
    public var acceptPeerExchangeThreshold = 50.0
    /// While half of a mesh is below this, better peers are asked in.
    public var opportunisticGraftThreshold = 3.0

    /// Time between two decays.
    public var decayInterval = Duration.seconds(1)
    /// Smaller counters are zero.
    public var decayToZero = 0.01
    /// How long the score of a peer that has left is kept, as it was.
    public var retention = Duration.seconds(3_600)

    /// The defaults.
    public init() {}
}
