import Bytes
import Glibc

/// The service manager that started this process, such as systemd: what it has passed in the environment, and the socket
/// that takes notifications (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)).
///
/// Speaks the documented protocols directly. Does nothing in a process that nobody supervises. Safe on any thread.
public final class ServiceManager: Sendable {
    /// The time without `Notification.watchdog` after which the manager ends the process; nil if it does not watch.
    public let watchdogTime: Duration?
    /// The sockets to serve.
    public let sockets: [PassedSocket]
    private let socket: NotifySocket?
    /// Whether there is a manager that takes notifications.
    public var isListening: Bool { socket != nil }
    private let credentials: String?

    /// Reads the variables as `variable` returns them, nil for one that is not set, and makes passed sockets close on
    /// exec.
    init(process: Int32, _ variable: (StaticString) -> [UInt8]?) throws(ServiceManagerError) {
        sockets = try PassedSocket.all(
            process: process, pid: variable("LISTEN_PID"), count: variable("LISTEN_FDS"),
            names: variable("LISTEN_FDNAMES"))
        credentials = variable("CREDENTIALS_DIRECTORY").flatMap { String(validating: $0, as: UTF8.self) }
        // Before anything takes the number of a descriptor that was not passed.
        for passed in sockets {
            guard fcntl(passed.descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
                throw .notOpen(passed.descriptor)
            }
        }
        socket =
            if let name = variable("NOTIFY_SOCKET"), !name.isEmpty { try NotifySocket(name) } else { nil }
        watchdogTime = try Self.watchdogTime(
            process: process, pid: variable("WATCHDOG_PID"), microseconds: variable("WATCHDOG_USEC"))
    }

    /// Takes over what the environment says, and removes it there: it is not meant for child processes. Call it before
    /// the process has other threads or opens files.
    ///
    /// Throws if a variable is invalid, or if a passed socket is not open.
    public static func ofEnvironment() throws(ServiceManagerError) -> ServiceManager {
        let manager = try ServiceManager(process: getpid()) { name in
            getenv("\(name)").map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
        }
        for name in [
            "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
        ] { unsetenv(name) }
        return manager
    }

    /// The path of a passed credential (systemd.exec(5), `LoadCredential=`); nil if there is none.
    public func credential(_ name: String) -> String? {
        guard let credentials, credentials.utf8.first == UInt8(ascii: "/") else { return nil }
        let path = "\(credentials)/\(name)"
        return access(path, F_OK) == 0 ? path : nil
    }

    /// Sends notifications in one datagram. Returns false if the manager does not get them. Waits up to a second for a
    /// busy manager if one of them is `ready`, `reloading` or `stopping`; never for others.
    @discardableResult
    public func notify(_ notifications: Notification...) -> Bool {
        guard let socket else { return true }
        return socket.send(
            Notification.datagram(notifications), waits: notifications.contains(where: \.isEssential))
    }

    private static func watchdogTime(
        process: Int32, pid: [UInt8]?, microseconds: [UInt8]?
    ) throws(ServiceManagerError) -> Duration? {
        guard let microseconds else { return nil }
        if let pid, try Number.read(pid, of: "WATCHDOG_PID", atMost: Int64(Int32.max)) != Int64(process) {
            return nil
        }
        let time = try Number.read(microseconds, of: "WATCHDOG_USEC", atMost: .max / 1000)
        return time == 0 ? nil : .microseconds(time)
    }
}
