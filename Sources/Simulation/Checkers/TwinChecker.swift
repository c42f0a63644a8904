import Chain
import Collections
import Crypto
import Execution
import Reactor

/// Executes what a machine executes once more, on an engine of another past and another heap (`SQLTwin`): at every height
/// both must come to the same hash, results, validators and costs.
///
/// A machine has one as long as the simulation lasts. So what a machine executes again after a start, or from an empty
/// disk, must be what it was before.
@ReactorActor
final class TwinChecker {
    /// Of so many blocks, how many are executed after something of the kind.
    private static let chances: [(history: SQLTwin.History, weight: UInt64)] = [
        (.reopened, 3), (.forgetful, 3), (.executedTwice, 5), (.queried, 1), (.none, 9),
    ]
    /// Rebuilding executes all blocks again: it comes the more seldom the more there are, so that it takes no more than
    /// as much time again.
    private static let rebuildInterval: UInt64 = 20
    /// What is told of the past with a difference.
    private static let toldEvents = 6

    private let machine: String
    private let genesis: Genesis
    private let directory: String
    private let report: (CheckerFailure) -> Void
    private var random: SeededGenerator
    private let heap: TwinHeap
    private var twin: SQLTwin?
    private var past: [String] = []
    /// Whether it has found something, or broken: nothing follows from what comes after.
    private var isOver = false

    /// - Parameters:
    ///   - directory: where its database goes; it is made.
    ///   - report: told what must not be.
    init(
        of machine: String, seed: UInt64, directory: String, genesis: Genesis,
        report: @escaping (CheckerFailure) -> Void
    ) {
        (self.machine, self.directory, self.genesis, self.report) = (machine, directory, genesis, report)
        random = SeededGenerator(seed: seed, stream: "twin \(machine)")
        heap = random.pick(TwinHeap.allCases) ?? .ordinary
    }

    /// The machine has executed a block, which waits for its commit unless it was cut.
    func executed(_ input: SQLTwin.Input, _ outcome: SQLTwin.Outcome) {
        check(input.block.height) {
            let twin = try self.twin ?? SQLTwin(directory, genesis, heap: heap)
            self.twin = twin
            try twin.rollback()
            let index = input.block.height - genesis.initialHeight - 1
            if index < twin.committed.count { return try compareAgain(twin, Int(index), input, outcome) }
            let history = draw()
            if history != .none { past.append("\(history) before \(input.block.height)") }
            let other = try twin.execute(input, after: history)
            if let difference = outcome.difference(from: other) { throw TwinFailure(difference) }
        }
    }

    /// The machine has committed the block that it executed last.
    func committed() {
        guard let twin else { return }
        check(twin.application.tip.height + 1) { try twin.commit() }
    }

    /// Lets go of everything.
    func close() {
        isOver = true
        twin?.remove()
        twin = nil
    }

    /// What the machine executed when it had another past itself.
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
                    "\(machine) and its twin part at height \(height): \(error) (heap: \(heap); twin: \(past.isEmpty ? "nothing happened" : past))"
                ))
        }
    }
}
