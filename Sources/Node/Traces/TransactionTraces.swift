import Crypto
import Reactor

/// The path of one transaction through one node.
public struct TransactionTrace: Sendable {
    /// Its ID.
    public var id: Hash
    /// The height of its block; 0 before the commit.
    public var height: Int64 = 0
    /// The stages that it has passed, in order of time.
    public var stages: [StageTime<TransactionStage>] = []

    /// A transaction that has passed no stage.
    public init(id: Hash) { self.id = id }
}

/// Records when recent transactions passed each stage: all while few come, a sample under load (docs/operate/tracing.md).
///
/// The ID decides whether a transaction is in the sample, so that nodes under the same load record the same ones. Lives on
/// the node's reactor. Places are in sets of four, chosen by the ID, where a new transaction replaces the oldest: neither a
/// look-up nor a replacement allocates or hashes.
@ReactorActor
final class TransactionTraces {
    /// The number of transactions kept.
    nonisolated static let capacity = 4_096
    /// The number of transactions recorded in a second, beyond which the sample is halved.
    nonisolated static let mostPerSecond = 256
    /// The smallest sample is one of 2^`smallest` transactions.
    private static let smallest = 16
    private static let ways = 4
    private static let sets = capacity / ways

    nonisolated let histograms: StageHistograms<TransactionStage>
    private var traces = Array(repeating: TransactionTrace(id: .zero), count: capacity)
    /// Bytes of the ID, to skip most others without reading them; 0 for a free place.
    private var marks = [UInt32](repeating: 0, count: capacity)
    /// Orders the transactions of a set by age.
    private var ages = [Int](repeating: 0, count: capacity)
    private var age = 0
    private var table: StageTable<TransactionStage>
    /// One of 2^`thinning` transactions is recorded.
    private(set) var thinning = 0
    /// The number of transactions recorded so far.
    private(set) var begun = 0
    private var period = (end: Duration.zero, begun: 0)

    init() {
        let histograms = StageHistograms<TransactionStage>()
        self.histograms = histograms
        table = StageTable(places: Self.capacity, histograms)
    }

    /// The number of transactions kept now.
    var count: Int { marks.count { $0 != 0 } }

    // MARK: Recording

    /// Notes that transactions came at `time`, from a client or a peer, and picks those to record.
    func begin(_ stage: TransactionStage, _ ids: some Sequence<Hash>, at time: Duration = Reactor.now) {
        for id in ids {
            let (set, mark) = Self.address(id)
            guard mark & Self.sampled(thinning) == 0 else { continue }
            if let place = place(id, set, mark) {
                note(stage, id, at: time, in: place)
            } else {
                note(stage, id, at: time, in: replace(id, set, mark))
                adjust(time)
            }
        }
    }

    /// Notes that those of these transactions that are recorded passed a stage.
    func note(
        _ stage: TransactionStage, _ ids: some Sequence<Hash>, height: Int64 = 0,
        at time: Duration = Reactor.now
    ) {
        for id in ids {
            let (set, mark) = Self.address(id)
            guard let place = place(id, set, mark) else { continue }
            note(stage, id, at: time, in: place)
            guard stage == .committed, traces[place].height == 0 else { continue }
            traces[place].height = height
            if let first = table.earliest(in: place) { histograms.whole.record(time - first) }
        }
    }

    private func note(_ stage: TransactionStage, _ id: Hash, at time: Duration, in place: Int) {
        if table.note(stage, at: time, in: place) { StageProbes.passed(stage, id: id, at: time) }
    }

    /// Halves the sample when too many transactions were recorded within a second, and doubles it when a quarter would do.
    private func adjust(_ now: Duration) {
        if now >= period.end {
            if begun - period.begun < Self.mostPerSecond / 4 { thinning = max(0, thinning - 1) }
        } else if begun - period.begun >= Self.mostPerSecond {
            thinning = min(thinning + 1, Self.smallest)
        } else {
            return
        }
        period = (now + .seconds(1), begun)
    }

    /// The bits of a mark that are 0 in one of 2^`thinning` transactions.
    private static func sampled(_ thinning: Int) -> UInt32 { 1 << UInt32(thinning) &- 1 }

    private func replace(_ id: Hash, _ set: Int, _ mark: UInt32) -> Int {
        var place = set
        for other in set..<set + Self.ways where ages[other] < ages[place] { place = other }
        age += 1
        ages[place] = age
        marks[place] = mark
        traces[place] = TransactionTrace(id: id)
        table.clear(place)
        begun += 1
        return place
    }

    // MARK: Places

    /// Returns the first place of an ID's set, and its mark.
    private static func address(_ id: Hash) -> (set: Int, mark: UInt32) {
        id.withUnsafeBytes { bytes in
            let mark = bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
            let set = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
            return (Int(set) % sets * ways, mark | 1 << 31)
        }
    }

    private func place(_ id: Hash, _ set: Int, _ mark: UInt32) -> Int? {
        for place in set..<set + Self.ways where marks[place] == mark && traces[place].id == id {
            return place
        }
        return nil
    }

    // MARK: Reading

    /// Returns the recorded path of a transaction; nil if it is not recorded.
    func trace(_ id: Hash) -> TransactionTrace? {
        let (set, mark) = Self.address(id)
        return place(id, set, mark).map { place in
            var trace = traces[place]
            trace.stages = table.stages(in: place)
            return trace
        }
    }
}
