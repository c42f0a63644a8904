/// What two engines do not agree on.
struct FuzzFailure: Error, CustomStringConvertible {
    /// How the text of a block that took too long begins.
    static let slow = "a block took"

    let description: String

    init(_ description: String) { self.description = description }
}
