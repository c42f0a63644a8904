import Reactor

/// A host as a service of a program.
extension Host: Service {
    /// Listens until it is cancelled. Throws the error of an address that cannot be listened on.
    public func run() async throws {
        try start()
        try await ServiceEnd().wait()
        await stop()
    }
}
