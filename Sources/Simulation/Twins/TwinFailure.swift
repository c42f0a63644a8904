/// A disagreement of two engines that executed the same blocks, or the failure of one.
struct TwinFailure: Error, CustomStringConvertible {
    let description: String
    /// Whether the failure is a block that took longer than its cost allows, which may not recur.
    let isSlow: Bool

    init(_ description: String, isSlow: Bool = false) {
        self.description = description
        self.isSlow = isSlow
    }
}
