/// What waits to be verified, the lowest height first, and how much is being verified.
///
/// Threads take turns at whatever is being verified, so all of it ends at about the same time. With few places, blocks are
/// ready in the order in which the chain needs them, and storage works on the first while the next are verified; with one for
/// each block, none would be ready before the last. A vote shares the threads with few blocks, too.
struct VerificationQueue<Item> {
    /// Whether the height goes down from one to the next.
    private var waiting: [(height: Int64, item: Item)] = []
    private var taken = 0
    private let places: Int

    /// An empty queue that lets so many items be verified at once, at least one.
    init(places: Int) { self.places = max(places, 1) }

    /// The number of items that wait.
    var count: Int { waiting.count }

    /// Adds an item whose lowest block has this height.
    mutating func add(_ item: Item, height: Int64) {
        let place = waiting.firstIndex { $0.height <= height } ?? waiting.count
        waiting.insert((height, item), at: place)
    }

    /// Takes the lowest item and a place, if there are both. `leave` must follow.
    mutating func enter() -> Item? {
        guard taken < places, let next = waiting.popLast() else { return nil }
        taken += 1
        return next.item
    }

    /// Gives a place back.
    mutating func leave() { taken -= 1 }

    /// Forgets items that no longer need to be verified.
    mutating func removeAll(where isUnwanted: (Item) -> Bool) { waiting.removeAll { isUnwanted($0.item) } }
}
