import Glibc
import Synchronization

/// The process's loop, started by name or by first use.
enum DefaultLoop {
    private static let state = Mutex<EventLoop?>(nil)

    /// The loop; the first use starts it. A process that cannot have one cannot go on: one line says why.
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
        let result: Result<EventLoop, ReactorError> = state.withLock { loop in
            if let loop { return .success(loop) }
            do throws(ReactorError) {
                let made = try EventLoop.start(kind, name: "apus-reactor")
                loop = made
                return .success(made)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension Reactor.DriverKind {
    /// What `APUS_REACTOR` names; `auto` where it names nothing.
    static func ofEnvironment() throws(ReactorError) -> Reactor.DriverKind {
        guard let value = getenv("APUS_REACTOR") else { return .auto }
        let name = String(cString: value)
        guard let kind = Reactor.DriverKind(rawValue: name) else {
            throw .driverUnavailable("APUS_REACTOR=\(name)")
        }
        return kind
    }
}
