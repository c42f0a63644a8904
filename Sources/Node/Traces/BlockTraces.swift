import Chain
import Consensus
import Crypto
import Multiformats
import Reactor

/// Records when the latest blocks passed each stage (docs/operate/tracing.md). Lives on the node's reactor; a worker's job
/// reads the clock itself and returns the time with its result.
@ReactorActor
final class BlockTraces {
    /// The number of blocks kept, committed or not.
    nonisolated static let capacity = 1_000

    nonisolated let histograms: StageHistograms<BlockStage>
    private var traces: [BlockTrace] = []
    private var places: [Hash: Int] = [:]
    private var table: StageTable<BlockStage>
    /// The place of the next block.
    private var next = 0
    /// The number of pending blocks of each height that has any, and a height below which there are none. A node that syncs has
    /// hundreds, all above the block that it commits.
    private var pending: [Int64: Int] = [:]
    private var lowestPending = Int64.max

    init() {
        let histograms = StageHistograms<BlockStage>()
        self.histograms = histograms
        table = StageTable(places: Self.capacity, histograms)
        traces.reserveCapacity(Self.capacity)
        places.reserveCapacity(Self.capacity)
    }

    /// The number of blocks kept now.
    var count: Int { traces.count }

    // MARK: Recording

    /// Notes that a block passed a stage at `time`, unless it passed the stage before. Callers have checked that a leader
    /// signed the block.
    func note(
        _ stage: BlockStage, height: Int64, hash: Hash, as role: RoleName, at time: Duration = Reactor.now
    ) {
        let place = places[hash] ?? begin(BlockTrace(height: height, hash: hash, role: role))
        // An announcement by another peer than the one that has sent the block.
        if stage == .header, table.time(of: .body, in: place) != nil { return }
        // Sync may have had the body from another peer before the announcement came, and notes it once it is proven.
        let time = stage == .body ? max(time, table.time(of: .header, in: place) ?? time) : time
        guard table.note(stage, at: time, in: place) else { return }
        StageProbes.passed(stage, height: height, hash: hash, at: time)
        if stage == .committed { finish(place) }
    }

    /// Notes what is known once the body is here.
    func note(body block: Block, from source: PeerID?) {
        guard let place = places[block.hash], traces[place].size == 0 else { return }
        traces[place].size = block.bytes.count
        traces[place].transactions = Int(block.header.transactionCount)
        traces[place].source = source
    }

    /// Notes that this node refuses a block.
    func noteRefusal(of hash: Hash) {
        guard let place = places[hash], traces[place].outcome == .pending else { return }
        end(place, .refused)
    }

    private func begin(_ trace: BlockTrace) -> Int {
        let place = next
        next = (next + 1) % Self.capacity
        if place < traces.count {
            if traces[place].outcome == .pending { endPending(traces[place].height) }
            places[traces[place].hash] = nil
            traces[place] = trace
        } else {
            traces.append(trace)
        }
        places[trace.hash] = place
        pending[trace.height, default: 0] += 1
        lowestPending = min(lowestPending, trace.height)
        table.clear(place)
        return place
    }

    private func finish(_ place: Int) {
        guard traces[place].outcome != .committed else { return }
        end(place, .committed)
        if let whole = whole(place) { histograms.whole.record(whole) }
        let height = traces[place].height
        if lowestPending < height || pending[height] != nil {
            for other in traces.indices
            where traces[other].height <= height && traces[other].outcome == .pending {
                end(other, .abandoned)
            }
        }
        lowestPending = max(lowestPending, height &+ 1)
    }

    private func end(_ place: Int, _ outcome: BlockTrace.Outcome) {
        if traces[place].outcome == .pending { endPending(traces[place].height) }
        traces[place].outcome = outcome
    }

    private func endPending(_ height: Int64) {
        guard let count = pending[height] else { return }
        pending[height] = count > 1 ? count - 1 : nil
    }

    // MARK: Reading

    /// Returns a block that is kept.
    func block(_ hash: Hash) -> BlockTrace? { places[hash].map(trace) }

    /// Returns the blocks of a height, in the order in which they appeared.
    func at(_ height: Int64) -> [BlockTrace] {
        inOrder.filter { traces[$0].height == height }.map(trace)
    }

    /// Returns the committed blocks that took longest from their first stage to their commit, slowest first.
    func slowest(_ count: Int) -> [BlockTrace] {
        let committed = inOrder.compactMap { place in whole(place).map { (place, $0) } }
        return committed.sorted { $0.1 > $1.1 }.prefix(count).map { trace($0.0) }
    }

    /// The places in use, those of older blocks first.
    private var inOrder: [Int] {
        traces.count < Self.capacity
            ? Array(traces.indices) : Array(next..<traces.count) + Array(0..<next)
    }

    private func whole(_ place: Int) -> Duration? {
        guard let end = table.time(of: .committed, in: place), let first = table.earliest(in: place)
        else { return nil }
        return end - first
    }

    private func trace(_ place: Int) -> BlockTrace {
        var trace = traces[place]
        trace.stages = table.stages(in: place)
        return trace
    }
}
