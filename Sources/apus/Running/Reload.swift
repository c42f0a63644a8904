import API
import Bytes
import Glibc
import Log
import Node
import Reactor
import ServiceManager

/// Reads `config.toml` again on request, and has the node and its server take over what they can (docs/configuration.md).
final class Reload: Sendable {
    private let root: RootDirectory
    private let node: Node
    private let server: RPCServer
    private let manager: ServiceManager
    private let log: Log
    /// Reads the file and waits for the service manager, which the reactor may not.
    private let worker = Worker(name: "reload", capacity: 1)
    private let requests = EventChannel<Void>()

    init(_ root: RootDirectory, _ node: Node, _ server: RPCServer, _ manager: ServiceManager, _ log: Log) {
        self.root = root
        self.node = node
        self.server = server
        self.manager = manager
        self.log = log
        let requests = requests
        node.home.call {
            Reactor.spawn { [weak self] in
                while await requests.next() != nil {
                    guard let self else { return }
                    await self.run()
                }
            }
        }
    }

    /// Reloads once those before have ended. Safe on any thread.
    func request() {
        let requests = requests
        node.home.call { requests.send(()) }
    }

    private func run() async {
        let (root, manager) = (root, manager)
        do {
            let new = try await worker.run {
                manager.notify(.reloading(since: .now(CLOCK_MONOTONIC)))
                return try root.configuration(mustExist: true)
            }
            let reload = try await node.reload(new)
            log.setLevel(LogOutput.level(reload.configuration.log.level))
            await server.change(
                RPCServer.Limits(reload.configuration.rpc, await node.network().parameters))
            report(reload)
        } catch {
            log.error("configuration not reloaded; nothing has changed", ["reason": .error(error)])
        }
        _ = try? await worker.run { manager.notify(.ready) }
    }

    private func report(_ reload: ConfigurationReload) {
        log.info("configuration reloaded", ["changed": .text(reload.taken.joined(separator: " "))])
        guard !reload.waiting.isEmpty else { return }
        log.warning(
            "changed configuration needs a restart of the node",
            ["keys": .text(reload.waiting.joined(separator: " "))])
    }
}
