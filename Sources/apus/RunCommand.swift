import API
import Arguments
import Bytes
import Log
import Metrics
import Node
import Reactor
import ServiceManager

/// `apus run`: runs a node until SIGINT or SIGTERM, and reloads its configuration on SIGHUP.
struct RunCommand: Action {
    let root: String
    let exitsWithParent: Bool

    /// The name of passed sockets for JSON-RPC.
    private static let rpcSocket = RawText("apus-rpc")

    static var command: Command {
        Command(
            "run", "Run a node until SIGINT or SIGTERM; SIGHUP reloads config.toml.",
            .required(
                "root", .path("DIRECTORY"), "Root directory with config.toml, genesis.json and nodekey.json."),
            .flag(
                "exit-with-parent",
                "Stop when standard input ends, as a pipe does when the parent process exits."),
            action: RunCommand.init)
    }

    func run() async throws {
        let manager = try ServiceManager.ofEnvironment()
        let sockets = try Self.rpcSockets(manager)
        // Before any file is opened.
        try DescriptorLimit.raise(toAtLeast: DescriptorLimit.least)
        let stop = try StopSignal(hangUpReloads: true)
        if exitsWithParent { try stop.watchInput() }
        let directory = RootDirectory(root)
        let configuration = try directory.configuration()
        let (log, writer) = try LogOutput.start(configuration.log)
        defer { writer.finish(within: LogOutput.patience) }
        let metrics = MetricsRegistry()
        ProcessMetrics.add(to: metrics)
        let node: Node
        do {
            try Reactor.start(Reactor.DriverKind(rawValue: configuration.reactor.driver) ?? .auto)
            let report = StartReport(manager)
            let credential = manager.credential("nodekey.json")
            if let credential { log.info("the node's key is a credential", ["file": .text(credential)]) }
            node = try await stop.run {
                try await Node.start(
                    root: directory, credential: credential, configuration: configuration, log: log,
                    metrics: metrics, hasQueryProcesses: true, progress: { report.note($0) })
            }
        } catch NodeError.stopped(let height) {
            manager.notify(.stopping)
            return log.info(
                "stopped during recovery; the next start resumes", ["height": .number(height ?? 0)])
        }
        let server: RPCServer
        do {
            server = try await Self.serve(node, configuration, sockets, log, metrics)
            StallReport.start(on: node.home, named: "peers", metrics, log)
            StallReport.start(on: server.loop, named: "clients", metrics, log)
        } catch {
            await node.stop()
            throw error
        }
        let report = ServiceReport(manager, node, server)
        if !manager.notify(.ready, .status("started")) {
            log.warning("service manager does not take the message that the node is ready")
        }
        await node.home.perform { report.start() }
        let reload = Reload(directory, node, server, manager, log)
        stop.onReload { reload.request() }
        let failure = await stop.unlessRaised { await node.failure() } ?? nil
        let reason = failure == nil ? stop.name ?? "standard input ended" : "the node cannot continue"
        log.info("stopping", ["reason": .text(reason)])
        await node.home.perform { report.stopping(reason) }
        await node.stop()
        await server.stop()
        await node.home.perform { report.stop() }
        if let failure { throw failure }
    }

    /// The passed sockets, which are all for clients of JSON-RPC.
    private static func rpcSockets(_ manager: ServiceManager) throws -> [Int32] {
        for passed in manager.sockets where passed.name != rpcSocket {
            throw CommandFailure(
                "the service manager passed a socket named \(passed.name.quoted()): set FileDescriptorName=\(rpcSocket) in "
                    + "the socket unit, or stop passing it")
        }
        return manager.sockets.map(\.descriptor)
    }

    private static func serve(
        _ node: Node, _ configuration: Configuration, _ sockets: [Int32], _ log: Log,
        _ metrics: MetricsRegistry
    ) async throws -> RPCServer {
        let rpc = configuration.rpc
        // The genesis alone limits a chain's transactions: no application changes the limit.
        let parameters = await node.network().parameters
        if rpc.cutsTransactions(parameters) {
            log.warning(
                "rpc.max_req_size is too small for this chain's largest transactions",
                [
                    "rpc.max_req_size": .number(rpc.maxRequestSize),
                    "transaction_size": .number(parameters.transactionLimit),
                ])
        }
        let budget = ReplyBudget(ReplyBudget.Limits(queryProcesses: configuration.queries.processes))
        return try await RPCServer.start(
            listen: rpc.listen, passed: sockets, limits: RPCServer.Limits(rpc, parameters),
            driver: Reactor.DriverKind(rawValue: configuration.reactor.driver) ?? .auto,
            dispatcher: RPCDispatcher(node, budget: budget, metrics: RPCMetrics(metrics)) {
                WallClock.milliseconds
            },
            metrics: configuration.metrics.isEnabled
                ? MetricsEndpoint(listen: configuration.metrics.listen) { await node.metrics() } : nil)
    }
}
