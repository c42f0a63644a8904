/// Two engines that executed the same blocks do not agree, or one cannot do what it must.
struct TwinFailure: Error, CustomStringConvertible {
    let description: String
    /// Whether a block took longer than it pays for: it may not the next time.
    let isSlow: Bool

    init(_ description: String, isSlow: Bool = false) {
        self.description = description
        self.isSlow = isSlow
    }
}
