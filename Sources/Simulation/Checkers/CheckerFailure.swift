/// A checker's report of a state that must never occur.
public struct CheckerFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The checker's name.
    public let checker: String
    /// What the checker found, in one line.
    public let detail: String

    /// Creates a failure of the named checker.
    public init(_ checker: String, _ detail: String) {
        self.checker = checker
        self.detail = detail
    }

    /// `checker: detail`.
    public var description: String { "\(checker): \(detail)" }
}
