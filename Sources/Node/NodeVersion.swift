/// The version of this software.
public enum NodeVersion {
    /// Its parts, as in semantic versioning.
    public static let (major, minor, patch): (UInt32, UInt32, UInt32) = (0, 1, 0)

    /// `major.minor.patch`.
    public static let text = "\(major).\(minor).\(patch)"

    /// The agent version in identify.
    public static let agent = "apus/\(text)"
}
