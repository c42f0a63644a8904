import API
import Arguments
import Log
import Metrics
import Node
import Reactor
import ServiceManager

/// `apus run`: runs a node until SIGINT, SIGTERM or SIGHUP.
struct RunCommand: Action {
    let root: String
    let exitsWithParent: Bool

    static var command: Command {
        Command(
            "run", "Run a node until SIGINT, SIGTERM or SIGHUP.",
            .required(
                "root", .path("DIRECTORY"), "Root directory with config.toml, genesis.json and nodekey.json."),
            .flag(
                "exit-with-parent",
                "Stop when standard input ends, as a pipe does when the parent process exits."),
            action: RunCommand.init)
    }

    func run() async throws {
        let manager = try ServiceManager.ofEnvironment()
        // Before any file is opened.
        try DescriptorLimit.raise(toAtLeast: DescriptorLimit.least)
        let stop = try StopSignal()
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
            node = try await stop.run {
                try await Node.start(
                    root: directory, configuration: configuration, log: log, metrics: metrics,
                    hasQueryProcesses: true, progress: { report.note($0) })
            }
        } catch NodeError.stopped(let height) {
            return log.info(
                "stopped while executing the block log; the next start resumes",
                ["height": .number(height)])
        }
        let server: RPCServer
        do {
            server = try await Self.serve(node, configuration, log, metrics)
        } catch {
            await node.stop()
            throw error
        }
        let report = ServiceReport(manager, node, server)
        if !manager.notify(.ready, .status("started")) {
            log.warning("service manager does not take the message that the node is ready")
        }
        await node.home.perform { report.start() }
        let failure = await stop.unlessRaised { await node.failure() } ?? nil
        let reason = failure == nil ? stop.name ?? "standard input ended" : "the node cannot continue"
        log.info("stopping", ["reason": .text(reason)])
        await node.home.perform { report.stopping(reason) }
        await node.stop()
        await server.stop()
        await node.home.perform { report.stop() }
        if let failure { throw failure }
    }

    private static func serve(
        _ node: Node, _ configuration: Configuration, _ log: Log, _ metrics: MetricsRegistry
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
        var limits = RPCServer.Limits()
        limits.maximumBodySize = rpc.requestLimit(parameters)
        limits.maximumConnections = rpc.maxConnections
        limits.maximumConnectionsPerAddress = rpc.maxConnectionsPerAddress
        var times = RPCDispatcher.Limits()
        times.timeout = rpc.timeout
        times.commitTimeout = rpc.broadcastTxTimeout
        // The dispatcher has earlier deadlines of its own; this one covers everything else.
        limits.requestTime = times.timeout + times.commitTimeout + .seconds(5)
        return try await RPCServer.start(
            listen: rpc.listen, limits: limits,
            driver: Reactor.DriverKind(rawValue: configuration.reactor.driver) ?? .auto,
            dispatcher: RPCDispatcher(node, limits: times, metrics: RPCMetrics(metrics)) {
                WallClock.milliseconds
            },
            metrics: configuration.metrics.isEnabled
                ? MetricsEndpoint(listen: configuration.metrics.listen) { await node.metrics() } : nil)
    }
}
