import Glibc

/// What the system says about an `errno`, and where an operator can do something about it, what.
public enum SystemErrorText {
    /// What to do when the process or the machine has no file descriptors left.
    public static let descriptorAdvice =
        "raise the limit of open files: ulimit -n, LimitNOFILE= of a systemd unit, or fs.file-max"

    /// One line for `errno` value `code`.
    public static func of(_ code: Int32) -> String {
        let text = String(cString: strerror(code))
        return code == EMFILE || code == ENFILE ? "\(text); \(descriptorAdvice)" : text
    }
}
