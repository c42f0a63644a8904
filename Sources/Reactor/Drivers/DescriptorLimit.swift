import Glibc

/// The limit on the process's open files and sockets.
public enum DescriptorLimit {
    /// The least that `raise(toAtLeast:)` should be asked for in a program that serves peers or clients. Some forty are in
    /// use when a node waits for its first peer, and libdispatch, on which Swift's tasks run, ends a process that has none
    /// left for it.
    public static let least = 128

    /// Linux's default, for when the limit cannot be read.
    private static let usual = 1_024

    /// Does what `raise` does, and refuses less than `least`.
    ///
    /// - Throws: `ReactorError.tooFewFiles`.
    public static func raise(toAtLeast least: Int) throws(ReactorError) {
        let limit = raise()
        guard limit >= least else { throw .tooFewFiles(limit: limit, least: least) }
    }

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
