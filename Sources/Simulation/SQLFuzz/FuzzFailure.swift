import Execution

/// What two engines do not agree on.
struct FuzzFailure: Error, CustomStringConvertible {
    /// What the text of a block that took too long says.
    static let slow = "a block took"

    let description: String

    init(_ description: String) { self.description = description }

    /// Where two results of one block part.
    static func difference(_ one: ExecutionResult, _ other: ExecutionResult) -> String {
        for (index, (left, right)) in zip(one.results, other.results).enumerated() where left != right {
            return "transaction \(index): \(left) and \(right)"
        }
        if one.accounts != other.accounts { return "accounts differ" }
        return "application hashes \(one.appHash) and \(other.appHash) after the same results"
    }
}
