import Collections

/// Tells how long an announcement of a transaction may wait for others without delaying its commit: a part of the time until
/// the leader can propose the next block. A lone transaction between blocks is announced at once.
///
/// A leader proposes no sooner than `consensus.propose_timeout` after a block. A node does not know the leader's, so it takes
/// its own, or the shortest of the latest intervals between blocks if that is less.
struct BlockRhythm {
    /// The shortest time: transactions of one moment share a frame.
    static let shortest = Duration.milliseconds(3)
    /// The longest time. A transaction waits at each node on its way to the leader.
    static let longest = Duration.milliseconds(50)
    /// The part of the time until the next proposal: so small that several nodes may wait one after the other.
    static let part = 8
    /// How many intervals between blocks are remembered.
    static let remembered = 8

    private let proposeTimeout: Duration
    private var latest: Duration?
    private var intervals: Deque<Duration> = []

    init(proposeTimeout: Duration) { self.proposeTimeout = proposeTimeout }

    /// Notes a committed block.
    mutating func committed(at now: Duration) {
        if let latest { intervals.append(now - latest) }
        if intervals.count > Self.remembered { intervals.removeFirst(1) }
        latest = now
    }

    /// How long an announcement may wait.
    func patience(at now: Duration) -> Duration {
        guard let latest else { return Self.shortest }
        let interval = intervals.reduce(proposeTimeout) { min($0, $1) }
        return min(max((latest + interval - now) / Self.part, Self.shortest), Self.longest)
    }
}
