import API
import Node
import Reactor
import ServiceManager

/// Tells the service manager how a running node is: its status whenever that changes, and that no reactor thread is stuck.
@ReactorActor
final class ServiceReport {
    /// The time between two looks at the node's status.
    private static let interval = Duration.seconds(2)

    private let manager: ServiceManager
    private let node: Node
    /// The server whose thread is watched, too; nil once it stops.
    private var server: RPCServer?
    private var status: Task<Void, Never>?
    private var feeding: Timer?
    private var isWaiting = false
    private var isStopped = false

    nonisolated init(_ manager: ServiceManager, _ node: Node, _ server: RPCServer) {
        self.manager = manager
        self.node = node
        self.server = server
    }

    /// Reports until `stop`.
    func start() {
        feed()
        guard manager.isListening else { return }
        status = Reactor.spawn { [manager, node] in
            var last = ""
            while !Task.isCancelled {
                let text = Self.text(await node.status())
                if text != last, manager.notify(.status(text)) { last = text }
                try? await Reactor.sleep(for: Self.interval)
            }
        }
    }

    /// Reports that the node stops; from now on, only the node's own thread is watched.
    func stopping(_ reason: String) {
        server = nil
        isWaiting = false
        status?.cancel()
        manager.notify(.stopping, .status("stopping: \(reason)"))
    }

    /// Ends all reports.
    func stop() {
        isStopped = true
        feeding?.cancel()
    }

    /// Has the loops of the node and of the server prove that they turn, twice within the manager's time.
    private func feed() {
        guard !isStopped, let time = manager.watchdogTime else { return }
        feeding = Reactor.schedule(after: time / 2) { [weak self] in self?.feed() }
        guard let server else { return _ = manager.notify(.watchdog) }
        guard !isWaiting else { return }
        isWaiting = true
        let home = Reactor.loop
        server.onNextTurn { [weak self] in home.call { self?.turned() } }
    }

    private func turned() {
        isWaiting = false
        manager.notify(.watchdog)
    }

    /// One line, such as `validator at height 1234, 5 peers`.
    nonisolated static func text(_ status: NodeStatus) -> String {
        let peers = status.peerCount == 1 ? "1 peer" : "\(status.peerCount) peers"
        guard !status.isSyncing else {
            let target = status.syncTarget.map { " of \($0)" } ?? ""
            return "syncing: \(status.height)\(target), \(peers)"
        }
        let trouble = (status.trouble ?? status.clockDoubt).map { "; \($0)" } ?? ""
        return "\(status.role) at height \(status.height), \(peers)\(trouble)"
    }
}
