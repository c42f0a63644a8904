import Glibc

/// Standard input, output and error.
public enum StandardDescriptors {
    /// Where errors and the log go.
    public static let error = STDERR_FILENO

    /// Opens `/dev/null` in the place of each of the three that is closed, so that no file, socket or database of this
    /// process gets its number, and with it what is written to standard output or error. To be called before anything
    /// else is opened.
    public static func reserve() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number that is free.
            _ = open("/dev/null", O_RDWR)
        }
    }
}
