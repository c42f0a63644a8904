import Arguments
import Crypto
import LibP2P
import Multiformats
import Node
import Reactor

/// The options of commands that run a libp2p host without a node: its key, reactor driver and security protocol.
struct HostOptions: Sendable {
    /// The security protocols that need only a key.
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
            .option("key", .path("FILE"), "Key file of the host's identity; by default a new Ed25519 key."),
            .option("reactor", .choice("DRIVER"), "Reactor driver."),
            .option(
                "security", .choice("PROTOCOL"), default: .noise,
                "Security protocol; plaintext is only for trusted links."),
            make: HostOptions.init)
    }

    /// Starts a host, passes it to `body`, and stops it when `body` has returned or thrown.
    func withHost(
        listening addresses: [Multiaddr] = [], limits: ResourceLimits = ResourceLimits(),
        _ body: @escaping @ReactorActor @Sendable (Host) async throws -> Void
    ) async throws {
        if let reactor { try Reactor.start(reactor) }
        try await Reactor.run {
            let host = try makeHost(listening: addresses, limits: limits)
            try host.start()
            var failure: (any Error)?
            do { try await body(host) } catch { failure = error }
            await host.stop()
            if let failure { throw failure }
        }
    }

    /// Creates a host without starting it.
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
