import Bytes
import Chain
import Execution

extension SQLTwin {
    /// The outcome of executing a block.
    enum Outcome: Equatable {
        case executed(ExecutionResult, cost: Int)
        /// The number of transactions that fit into the block's budget.
        case cut(Int)

        /// Returns the first difference from another engine's outcome, with both values; nil when there is none.
        func difference(from other: Outcome) -> String? {
            switch (self, other) {
            case (.executed(let one, let cost), .executed(let other, let otherCost)):
                if let difference = Self.difference(one, other) { return difference }
                // With unequal costs, one engine may cut a block that the other accepts.
                return cost == otherCost ? nil : "the block costs \(cost) and \(otherCost) units"
            case (.cut(let one), .cut(let other)) where one == other: return nil
            default: return "\(text) and \(other.text)"
            }
        }

        private var text: String {
            switch self {
            case .executed(let result, let cost):
                "executed for \(cost) units with app hash \(result.appHash)"
            case .cut(let count): "cut after \(count) transactions"
            }
        }

        private static func difference(_ one: ExecutionResult, _ other: ExecutionResult) -> String? {
            for (index, (left, right)) in zip(one.results, other.results).enumerated()
            where text(left) != text(right) {
                return "transaction \(index): \(text(left)) and \(text(right))"
            }
            if one.results.count != other.results.count {
                return "\(one.results.count) results and \(other.results.count)"
            }
            for (what, left, right) in [
                ("validator updates", text(one.validatorUpdates), text(other.validatorUpdates)),
                ("accounts", text(one.accounts), text(other.accounts)),
            ] where left != right { return "\(what) \(left) and \(right)" }
            if one.appHash != other.appHash {
                return "app hashes \(one.appHash) and \(other.appHash) after the same results"
            }
            return one == other ? nil : "parameter updates differ"
        }

        private static func text(_ result: TransactionResult) -> RawText {
            RawText("code \(result.code), gas \(result.gas), log \"\(result.log)\"")
        }

        private static func text(_ validators: [Validator]) -> String {
            "[\(validators.map { "\($0.key.nodeID) \($0.power)" }.joined(separator: ", "))]"
        }

        private static func text(_ accounts: [ExecutionResult.ChangedAccount]) -> String {
            "[\(accounts.map { "\($0.id) nonce \($0.nonce) balance \($0.balance)" }.joined(separator: ", "))]"
        }
    }
}
