/// What a starting node is doing, for its operator.
public enum StartProgress: Sendable, CustomStringConvertible {
    /// It reads the block log, up to this height so far.
    case reading(height: Int64)
    /// It executes the block at a height; the log ends at `tip`.
    case executing(height: Int64, tip: Int64)
    /// It cannot execute the block at a height yet, and tries again.
    case retrying(height: Int64)

    /// A few words.
    public var description: String {
        switch self {
        case .reading(let height): "recovering: block log read up to block \(height)"
        case .executing(let height, let tip): "recovering: executing block \(height) of \(tip)"
        case .retrying(let height): "recovering: cannot execute block \(height), trying again"
        }
    }
}
