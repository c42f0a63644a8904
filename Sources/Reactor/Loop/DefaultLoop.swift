import Glibc
import Synchronization

/// The process's loop, started explicitly or by its first use.
enum DefaultLoop {
    private static let state = Mutex<EventLoop?>(nil)

    /// The loop, started by the first use. If it cannot start, prints the reason and exits.
    static var loop: EventLoop {
        do {
            return try start(nil)
        } catch {
            let line = "apus: cannot start the reactor: \(error)\n"
            _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
            exit(1)
        }
    }

    static func start(_ kind: Reactor.DriverKind?) throws(ReactorError) -> EventLoop {
        try state.withLock { loop throws(ReactorError) in
            if let loop { return loop }
            let started = try EventLoop.start(kind, name: "apus-reactor")
            loop = started
            return started
        }
    }
}

extension Reactor.DriverKind {
    /// The kind that `APUS_REACTOR` names; `auto` if it is not set.
    static func ofEnvironment() throws(ReactorError) -> Reactor.DriverKind {
        guard let value = getenv("APUS_REACTOR") else { return .auto }
        let name = String(cString: value)
        guard let kind = Reactor.DriverKind(rawValue: name) else {
            throw .driverUnavailable("APUS_REACTOR=\(name)")
        }
        return kind
    }
}
