import Crypto
import LibP2P
import Multiformats
import Reactor

/// Two hosts on loopback, of which the second listens.
@ReactorActor
struct HostPair {
    let dialer: Host
    let listener: Host
    let address: Multiaddr

    init(
        security: [ProtocolID] = [.noise], limits: ResourceLimits = ResourceLimits(),
        configure: (inout HostConfiguration) -> Void = { _ in }
    ) throws {
        dialer = try Self.host(security: security, limits: limits, configure: configure)
        listener = try Self.host(security: security, limits: limits, configure: configure)
        try dialer.start()
        try listener.start()
        guard let first = listener.listenAddresses.first else { throw LibP2PError.notRunning }
        address = first.appending(.p2p(listener.peerID))
    }

    /// Creates a host with a new key, to listen on a free port of loopback.
    static func host(
        security: [ProtocolID] = [.noise], limits: ResourceLimits = ResourceLimits(),
        configure: (inout HostConfiguration) -> Void = { _ in }
    ) throws -> Host {
        var configuration = HostConfiguration(
            identity: try PrivateKey.generate(.ed25519),
            listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")])
        configuration.securityProtocols = security
        configuration.limits = limits
        configure(&configuration)
        return Host(configuration)
    }

    /// Connects the hosts.
    func connect() async throws {
        try await dialer.connect(address)
    }

    func stop() async {
        await dialer.stop()
        await listener.stop()
    }

    /// Runs `body` on the reactor with two hosts, and stops them.
    nonisolated static func run(
        security: [ProtocolID] = [.noise], limits: ResourceLimits = ResourceLimits(),
        _ body: @escaping @ReactorActor @Sendable (HostPair) async throws -> Void
    ) async throws {
        try await Reactor.run {
            let pair = try HostPair(security: security, limits: limits)
            do {
                try await body(pair)
            } catch {
                await pair.stop()
                throw error
            }
            await pair.stop()
        }
    }
}

/// Returns bytes that depend on position and seed, so that misplaced ones are noticed.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    var bytes = [UInt8](repeating: 0, count: count)
    for index in bytes.indices {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        bytes[index] = UInt8(truncatingIfNeeded: state)
    }
    return bytes
}
