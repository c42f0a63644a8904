import Arguments
import Crypto
import LibP2P
import Multiformats
import Node
import Reactor

/// What the commands that speak libp2p without a node have in common: a key, a way to the kernel, a security protocol.
struct HostOptions: Sendable {
    /// The security protocols that need nothing but a key.
    enum Security: String, CaseIterable {
        case noise, plaintext

        var id: ProtocolID { self == .noise ? .noise : .plaintext }
    }

    let key: String?
    let reactor: Reactor.DriverKind?
    let security: Security

    static var parameters: Parameter<HostOptions> {
        .group(
            "Host",
            .option("key", .path("FILE"), "Key file to be known by, in place of a fresh Ed25519 key."),
            .option("reactor", .choice("DRIVER"), "Way to the kernel."),
            .option(
                "security", .choice("PROTOCOL"), default: .noise,
                "Security protocol; plaintext is for between trusted machines."),
            make: HostOptions.init)
    }

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
