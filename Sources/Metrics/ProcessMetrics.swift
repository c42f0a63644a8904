import Glibc

/// What the kernel knows about this process, under the names that Prometheus's client libraries share:
/// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
public enum ProcessMetrics {
    /// Adds the process's metrics. Their values are read from /proc whenever the metrics are written.
    public static func add(to registry: MetricsRegistry) {
        registry.reading(
            .counter, "process_cpu_seconds_total", "Processor time that the process has used.",
            unit: .microseconds
        ) { cpuMicroseconds }
        registry.reading(
            .gauge, "process_resident_memory_bytes", "Memory of the process that is in RAM."
        ) { memory(field: 1) }
        registry.reading(
            .gauge, "process_virtual_memory_bytes", "Address space that the process has reserved."
        ) { memory(field: 0) }
        registry.reading(.gauge, "process_open_fds", "Open file descriptors of the process.") {
            openDescriptors
        }
        registry.reading(.gauge, "process_max_fds", "Limit on the open file descriptors of the process.") {
            descriptorLimit
        }
        registry.reading(
            .gauge, "process_start_time_seconds", "Time when the process started, in seconds since 1970.",
            unit: .milliseconds
        ) { startMilliseconds }
    }

    private static var cpuMicroseconds: Int64 {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        let (user, system) = (usage.ru_utime, usage.ru_stime)
        return Int64(user.tv_sec + system.tv_sec) * 1_000_000 + Int64(user.tv_usec + system.tv_usec)
    }

    /// Returns a field of proc_pid_statm(5), in bytes.
    private static func memory(field: Int) -> Int64 {
        let fields = words(of: "/proc/self/statm")
        guard field < fields.count else { return 0 }
        return (Int64(fields[field]) ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static var openDescriptors: Int64 {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        // The two links to directories, and the descriptor of this one, do not count.
        var count: Int64 = -3
        while readdir(directory) != nil { count += 1 }
        return max(count, 0)
    }

    private static var descriptorLimit: Int64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int64(clamping: limit.rlim_cur)
    }

    /// When the process started, in milliseconds since 1970: `starttime` of proc_pid_stat(5) is relative to the boot.
    private static var startMilliseconds: Int64 {
        // The name of the program, in parentheses, may contain spaces; `starttime` is the 20th field after it.
        let fields = words(of: "/proc/self/stat", after: UInt8(ascii: ")"))
        guard fields.count > 19, let ticks = Int64(fields[19]) else { return 0 }
        let rate = Int64(sysconf(Int32(_SC_CLK_TCK)))
        return rate > 0 ? bootMilliseconds + ticks * 1000 / rate : 0
    }

    /// When the machine booted, in milliseconds since 1970: `btime` of proc_stat(5).
    private static var bootMilliseconds: Int64 {
        let fields = words(of: "/proc/stat")
        guard let place = fields.firstIndex(of: "btime"), place + 1 < fields.count else { return 0 }
        return (Int64(fields[place + 1]) ?? 0) * 1000
    }

    /// Returns the words of a file of /proc, or those after the last occurrence of a byte.
    private static func words(of path: String, after mark: UInt8? = nil) -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { break }
            text += piece[..<count]
        }
        let start = mark.flatMap { text.lastIndex(of: $0) }.map { $0 + 1 } ?? 0
        return text[start...].split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
