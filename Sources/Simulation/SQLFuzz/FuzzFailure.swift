/// What two engines do not agree on.
struct FuzzFailure: Error, CustomStringConvertible {
    /// What the text of a block that took too long says.
    static let slow = "a block took"

    let description: String

    init(_ description: String) { self.description = description }
}
