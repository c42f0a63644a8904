import ArgumentParser
import Crypto
import LibP2P
import Multiformats
import Node
import Reactor

/// What the commands that speak libp2p without a node have in common: a key, a way to the kernel, a security protocol.
struct HostOptions: ParsableArguments {
    /// The security protocols that need nothing but a key.
    enum Security: String, ExpressibleByArgument, CaseIterable {
        case noise, plaintext

        var id: ProtocolID { self == .noise ? .noise : .plaintext }
    }

    @Option(help: "Key file to be known by; default: a fresh Ed25519 key.")
    var key: String?

    @Option(help: "Way to the kernel: auto, io_uring or epoll.")
    var reactor: Reactor.DriverKind?

    @Option(help: "Security protocol: noise, or plaintext between trusted machines.")
    var security = Security.noise

    /// Starts a host, lets `body` work with it, and stops it with a farewell to its peers.
    func withHost<T: Sendable>(
        listening addresses: [Multiaddr] = [], limits: ResourceLimits = ResourceLimits(),
        _ body: @escaping @ReactorActor @Sendable (Host) async throws -> T
    ) async throws -> T {
        if let reactor { try Reactor.start(reactor) }
        return try await Reactor.run {
            let host = try makeHost(listening: addresses, limits: limits)
            try host.start()
            do {
                let result = try await body(host)
                await host.stop()
                return result
            } catch {
                await host.stop()
                throw error
            }
        }
    }

    /// A host that is not started yet.
    @ReactorActor
    func makeHost(
        listening addresses: [Multiaddr] = [], limits: ResourceLimits = ResourceLimits()
    ) throws -> Host {
        var configuration = HostConfiguration(
            identity: try key.map { try KeyFile.load($0) } ?? PrivateKey.generate(.ed25519),
            listenAddresses: addresses)
        configuration.securityProtocols = [security.id]
        configuration.limits = limits
        configuration.agentVersion = NodeVersion.agent
        return Host(configuration)
    }
}

extension Reactor.DriverKind: ExpressibleByArgument {}

extension Multiaddr: ExpressibleByArgument {
    /// The address with this text, as a command's argument.
    public init?(argument: String) {
        guard let address = try? Multiaddr(argument) else { return nil }
        self = address
    }
}

extension Duration {
    /// Milliseconds with three decimals, for people.
    var milliseconds: String {
        let microseconds = components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
        let fraction = String(microseconds % 1_000 + 1_000).dropFirst()
        return "\(microseconds / 1_000).\(fraction) ms"
    }
}
