import Crypto

/// The blocks of the current height that this node held and the leader has withdrawn.
struct WithdrawnBlocks: Sendable {
    /// More blocks than are withdrawn at one height in an hour.
    static let capacity = 64

    private var blocks: [Hash] = []

    var isEmpty: Bool { blocks.isEmpty }

    func contains(_ block: Hash) -> Bool { blocks.contains(block) }

    /// Adds a block; beyond the capacity it replaces the oldest.
    mutating func note(_ block: Hash) {
        guard !blocks.contains(block) else { return }
        blocks.append(block)
        if blocks.count > Self.capacity { blocks.removeFirst() }
    }
}
