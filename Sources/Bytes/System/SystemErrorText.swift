import Glibc

/// Describes an `errno`, with advice where an operator can act on it.
public enum SystemErrorText {
    /// The advice for a process or machine that has run out of file descriptors.
    public static let descriptorAdvice =
        "raise the open-file limit: ulimit -n, LimitNOFILE= in the systemd unit, or fs.file-max"

    /// Returns one line for the `errno` value `code`.
    public static func of(_ code: Int32) -> String {
        let text = String(cString: strerror(code))
        return code == EMFILE || code == ENFILE ? "\(text); \(descriptorAdvice)" : text
    }
}
