import API
import ArgumentParser
import Foundation
import Node
import Reactor

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
        LogOutput.start(configuration.log)
        let node = try await Node.start(root: directory, configuration: configuration)
        let server: RPCServer
        do {
            var limits = RPCServer.Limits()
            limits.maximumBodySize = configuration.rpc.maxRequestSize
            limits.maximumConnections = configuration.rpc.maxConnections
            limits.maximumConnectionsPerAddress = configuration.rpc.maxConnectionsPerAddress
            limits.requestTime = max(configuration.rpc.timeout, configuration.rpc.broadcastTxTimeout)
            server = try await RPCServer.start(
                listen: configuration.rpc.listen, limits: limits,
                driver: Reactor.DriverKind(rawValue: configuration.reactor.driver) ?? .auto,
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
