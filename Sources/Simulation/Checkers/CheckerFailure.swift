/// A checker saw what must never happen.
public struct CheckerFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Which checker.
    public let checker: String
    /// What it saw, in one line.
    public let detail: String

    /// A failure of a checker.
    public init(_ checker: String, _ detail: String) {
        self.checker = checker
        self.detail = detail
    }

    /// `checker: detail`.
    public var description: String { "\(checker): \(detail)" }
}
