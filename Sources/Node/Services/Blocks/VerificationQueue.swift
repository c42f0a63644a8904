/// What waits to be verified, the lowest height first, and how much is being verified.
///
/// Threads take turns at whatever is being verified, so all of it ends at about the same time. With a limit, blocks are ready in
/// the order in which the chain needs them, and storage works on the first while the next are verified; without one, none would
/// be ready before the last. A vote shares the threads with fewer blocks, too.
struct VerificationQueue<Item> {
    /// Whether the height goes down from one to the next.
    private var waiting: [(height: Int64, item: Item)] = []
    /// The cost of what is being verified.
    private var cost = 0
    private let limit: Int

    /// An empty queue from which items are taken while those that are being verified cost less than `limit`.
    init(limit: Int) { self.limit = limit }

    /// The number of items that wait.
    var count: Int { waiting.count }

    /// Adds an item whose lowest block has this height.
    mutating func add(_ item: Item, height: Int64) {
        let place = waiting.firstIndex { $0.height <= height } ?? waiting.count
        waiting.insert((height, item), at: place)
    }

    /// Takes the lowest item, if there is one and the limit is not reached. `end` with the same cost must follow.
    mutating func begin(cost: (Item) -> Int) -> Item? {
        guard self.cost < limit, let next = waiting.popLast() else { return nil }
        self.cost += cost(next.item)
        return next.item
    }

    /// Notes that an item of this cost has been verified.
    mutating func end(cost: Int) { self.cost -= cost }

    /// Forgets items that no longer need to be verified.
    mutating func removeAll(where isUnwanted: (Item) -> Bool) { waiting.removeAll { isUnwanted($0.item) } }
}
