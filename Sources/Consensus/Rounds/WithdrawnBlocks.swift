import Crypto

/// Blocks of the present height that the leader has withdrawn, as far as this node held them.
struct WithdrawnBlocks: Sendable {
    /// More than a height sees in an hour.
    static let capacity = 64

    private var blocks: [Hash] = []

    var isEmpty: Bool { blocks.isEmpty }

    func contains(_ block: Hash) -> Bool { blocks.contains(block) }

    /// Remembers a block, and forgets the oldest beyond the capacity.
    mutating func note(_ block: Hash) {
        guard !blocks.contains(block) else { return }
        blocks.append(block)
        if blocks.count > Self.capacity { blocks.removeFirst() }
    }
}
