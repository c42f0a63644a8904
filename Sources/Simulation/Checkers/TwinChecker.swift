import Chain
import Collections
import Crypto
import Execution
import Reactor

/// Repeats a machine's executions on an engine with another history and another heap (`SQLTwin`). At every height
/// both must produce the same hash, results, validators and costs.
///
/// A machine's twin lasts as long as the simulation. So blocks that the machine executes again, after a start or from
/// an empty disk, must have the same outcome as before.
@ReactorActor
final class TwinChecker {
    /// The relative frequencies of histories before a block.
    private static let chances: [(history: SQLTwin.History, weight: UInt64)] = [
        (.reopened, 3), (.forgetful, 3), (.executedTwice, 5), (.queried, 1), (.none, 9),
    ]
    /// Rebuilding executes all blocks again. Its frequency falls with their number, so that it no more than doubles
    /// the time.
    private static let rebuildInterval: UInt64 = 20
    /// The number of past events in a failure's text.
    private static let toldEvents = 6

    private let machine: String
    private let genesis: Genesis
    private let directory: String
    private let report: (CheckerFailure) -> Void
    private var random: SeededGenerator
    private let heap: TwinHeap
    private var twin: SQLTwin?
    private var past: [String] = []
    /// Whether it has found a difference or failed; later blocks would prove nothing.
    private var isOver = false

    /// - Parameters:
    ///   - directory: the directory of its database, which is created.
    ///   - report: called with a difference.
    init(
        of machine: String, seed: UInt64, directory: String, genesis: Genesis,
        report: @escaping (CheckerFailure) -> Void
    ) {
        (self.machine, self.directory, self.genesis, self.report) = (machine, directory, genesis, report)
        random = SeededGenerator(seed: seed, stream: "twin \(machine)")
        heap = random.pick(TwinHeap.allCases) ?? .ordinary
    }

    /// Compares a block that the machine has executed, perhaps on others that await their commit; it awaits its own unless it
    /// was cut.
    func executed(_ input: SQLTwin.Input, _ outcome: SQLTwin.Outcome) {
        check(input.block.height) {
            let twin = try self.twin ?? SQLTwin(directory, genesis, heap: heap)
            self.twin = twin
            // The machine may commit several blocks together. Its twin commits each alone, and may so be ahead of it.
            if twin.preparedHeight == input.block.height - 1 {
                try twin.commit()
            } else {
                try twin.rollback()
            }
            let index = input.block.height - genesis.initialHeight - 1
            if index < twin.committed.count { return try compareAgain(twin, Int(index), input, outcome) }
            let history = draw()
            if history != .none { past.append("\(history) before \(input.block.height)") }
            let other = try twin.execute(input, after: history)
            if let difference = outcome.difference(from: other) { throw TwinFailure(difference) }
        }
    }

    /// Commits the block that the machine executed last.
    func committed() {
        guard let twin else { return }
        check(twin.application.tip.height + 1) { try twin.commit() }
    }

    /// Closes and removes the twin.
    func close() {
        isOver = true
        twin?.remove()
        twin = nil
    }

    /// Compares a block with its earlier execution, when the machine had another history.
    private func compareAgain(
        _ twin: SQLTwin, _ index: Int, _ input: SQLTwin.Input, _ outcome: SQLTwin.Outcome
    ) throws {
        let before = twin.committed[index]
        guard before.input.block.hash == input.block.hash else { return }
        if let difference = outcome.difference(from: before.outcome) {
            throw TwinFailure("executed again: \(difference)")
        }
    }

    private func draw() -> SQLTwin.History {
        if random.oneIn(Self.rebuildInterval + UInt64(twin?.committed.count ?? 0)) { return .rebuilt }
        var number = random.next() % Self.chances.reduce(0) { $0 + $1.weight }
        for (history, weight) in Self.chances {
            if number < weight { return history }
            number -= weight
        }
        return .none
    }

    private func check(_ height: Int64, _ body: () throws -> Void) {
        guard !isOver else { return }
        do {
            try body()
        } catch {
            isOver = true
            let past = past.suffix(Self.toldEvents).joined(separator: ", ")
            report(
                CheckerFailure(
                    "twin",
                    "\(machine) and its twin differ at height \(height): \(error) (heap: \(heap); twin: \(past.isEmpty ? "nothing happened" : past))"
                ))
        }
    }
}
