import API
import ArgumentParser
import Foundation
import Log
import Node

/// `apus run`: a node until SIGINT or SIGTERM.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a node until SIGINT or SIGTERM.")

    @Option(help: "Root directory with config.toml, genesis.json and nodekey.json.")
    var root: String

    @Flag(help: "End when standard input ends, as a pipe from a parent process does with the parent.")
    var exitWithParent = false

    func run() async throws {
        let stop = StopSignal()
        if exitWithParent { stop.watchInput() }
        let directory = RootDirectory(root)
        let configuration = try directory.configuration()
        let (log, writer) = try LogOutput.start(configuration.log)
        defer { writer.finish(within: LogOutput.patience) }
        let node = try await Node.start(root: directory, configuration: configuration, log: log)
        let server: RPCServer
        do {
            var limits = RPCServer.Limits()
            limits.maximumRequestSize = configuration.rpc.maxRequestSize
            limits.requestTimeout = max(configuration.rpc.timeout, configuration.rpc.broadcastTxTimeout)
            server = try await RPCServer.start(
                listen: configuration.rpc.listen, limits: limits,
                dispatcher: RPCDispatcher(node) { Int64(Date().timeIntervalSince1970 * 1000) })
        } catch {
            await node.stop()
            throw error
        }
        let failure = await stop.run(node)
        await server.stop()
        if let failure { throw failure }
    }
}
