import Glibc

/// The limit on the process's open files and sockets.
public enum DescriptorLimit {
    /// Linux's default, for when the limit cannot be read.
    private static let usual = 1_024

    /// Raises the soft limit to the hard one, which costs nothing by itself, and returns the new limit.
    public static func raise() -> Int {
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return usual }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(kind, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }
}
