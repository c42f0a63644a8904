import Bytes
import Chain
import Collections

/// Blocks of statements on which two engines with different histories must agree.
struct SQLFuzzCase: Equatable, Sendable {
    /// A transaction without nonce and signature.
    struct Statement: Equatable, Sendable {
        /// The SQL text.
        var sql: String
        /// The parameters.
        var parameters: [RawStatement.Parameter] = []
        /// The sender: 0 is the database's owner, 1 may write once it has a grant, 2 may never write.
        var sender = 0
        /// The offset from the sender's next nonce.
        var nonceSkew: UInt64 = 0

        static func == (one: Self, other: Self) -> Bool {
            one.line.utf8.elementsEqual(other.line.utf8)
        }

        /// The statement with its sender and values, on one line.
        var line: String {
            var text = "sender \(sender)"
            if nonceSkew > 0 { text += ", nonce + \(nonceSkew)" }
            text += ": \(sql)"
            // The wire's bytes, because texts in two normal forms look alike.
            for parameter in parameters {
                text +=
                    "  \(parameter.name) = \(parameter.value.type.name) 0x\(Hex.encode(parameter.value.bytes))"
            }
            return text
        }
    }

    /// The number of a seed's blocks: enough to alter tables, few enough to execute them often.
    static let heights = 12
    private static let mostStatements: UInt64 = 7

    let seed: UInt64
    /// The blocks; an index is a height minus one. Histories depend on seed and height, so a block that shrinks away
    /// stays as an empty one.
    var blocks: [[Statement]]

    init(seed: UInt64) { self.init(seed: seed, blocks: Self.generate(seed: seed).blocks) }

    /// Returns a seed's blocks, and the generator after them.
    static func generate(seed: UInt64) -> (blocks: [[Statement]], generator: SQLGenerator) {
        var generator = SQLGenerator(seed: seed)
        var random = SeededGenerator(seed: seed, stream: "blocks")
        var blocks: [[Statement]] = []
        for height in 0..<heights {
            let count = height == 0 ? 4 : 1 + random.next() % mostStatements
            blocks.append((0..<count).map { _ in generator.next(isFirstBlock: height == 0) })
        }
        return (blocks, generator)
    }

    init(seed: UInt64, blocks: [[Statement]]) {
        self.seed = seed
        self.blocks = blocks
    }

    /// Returns the smallest case found for which `fails` holds: first without blocks, then without single statements.
    /// Calls `fails` up to `attempts` times.
    func shrunk(attempts: Int, while fails: (SQLFuzzCase) -> Bool) -> SQLFuzzCase {
        var smallest = self
        var left = attempts
        func isStillFailing(_ candidate: SQLFuzzCase) -> Bool {
            guard left > 0 else { return false }
            left -= 1
            return fails(candidate)
        }
        for height in blocks.indices.reversed() where !smallest.blocks[height].isEmpty {
            var candidate = smallest
            candidate.blocks[height] = []
            if isStillFailing(candidate) { smallest = candidate }
        }
        for height in blocks.indices.reversed() {
            for index in smallest.blocks[height].indices.reversed() {
                var candidate = smallest
                candidate.blocks[height].remove(at: index)
                if isStillFailing(candidate) { smallest = candidate }
            }
        }
        return smallest
    }

    /// The statements with their heights, one per line.
    var text: String {
        var lines: [String] = []
        for (index, block) in blocks.enumerated() {
            for statement in block { lines.append("height \(index + 1), \(statement.line)") }
        }
        return lines.joined(separator: "\n")
    }
}
