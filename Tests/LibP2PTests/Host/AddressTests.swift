import Crypto
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Dialling by name and by addresses of both families, on the kernel's sockets unless stated otherwise.
@Suite(.serialized, .timeLimit(.minutes(2))) struct AddressTests {
    /// Runs `body` with a host that listens on `ip`, one to dial from, and the port.
    private func run(
        listening ip: String,
        _ body: @escaping @ReactorActor @Sendable (Host, Host, UInt16) async throws -> Void
    ) async throws {
        try await Reactor.run {
            let listener = try HostPair.host { configuration in
                configuration.listenAddresses = IP(ip).map { [Multiaddr(ip: $0, tcp: 0)] } ?? []
            }
            let dialer = try HostPair.host { $0.listenAddresses = [] }
            try listener.start()
            try dialer.start()
            let port = try #require(listener.listenAddresses.first?.transport?.port)
            do {
                try await body(listener, dialer, port)
            } catch {
                await dialer.stop()
                await listener.stop()
                throw error
            }
            await dialer.stop()
            await listener.stop()
        }
    }

    @Test(arguments: ["/dns/localhost", "/dns4/localhost", "/ip4/127.0.0.1"])
    func dialsByNameAndLiteral(_ host: String) async throws {
        try await run(listening: "127.0.0.1") { listener, dialer, port in
            let peer = try await dialer.connect(try Multiaddr("\(host)/tcp/\(port)"))
            #expect(peer == listener.peerID)
            #expect(dialer.remoteAddress(of: peer)?.ip == IP("127.0.0.1"))
            #expect(
                dialer.configuration.peerStore.addresses(of: peer).contains(
                    try Multiaddr("\(host)/tcp/\(port)")))
        }
    }

    @Test func dialsAndListensOnIPv6() async throws {
        try await run(listening: "::1") { listener, dialer, port in
            let peer = try await dialer.connect(try Multiaddr("/ip6/::1/tcp/\(port)"))
            #expect(peer == listener.peerID)
            #expect(dialer.remoteAddress(of: peer)?.ip == IP("::1"))
            #expect(try await dialer.ping(peer) > .zero)
            #expect(listener.remoteAddress(of: dialer.peerID)?.ip?.scope == .loopback)
        }
    }

    @Test func aNameOfTheOtherFamilyFails() async throws {
        try await run(listening: "127.0.0.1") { _, dialer, port in
            await #expect(throws: LibP2PError.self) {
                try await dialer.connect(try Multiaddr("/dns6/127.0.0.1/tcp/\(port)"))
            }
        }
    }

    @Test func aNameWithoutAnAddressIsNamed() async throws {
        try await run(listening: "127.0.0.1") { listener, dialer, port in
            let wrong = try Multiaddr("/dns4/nowhere.invalid/tcp/1")
            let error = await #expect(throws: LibP2PError.self) { try await dialer.connect(wrong) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("nowhere.invalid"))
            // It does not prevent a dial to an address that works.
            try await dialer.connect(
                listener.peerID, [try Multiaddr("/dns4/nowhere.invalid/tcp/2")] + listener.listenAddresses)
            #expect(dialer.connectedPeers == [listener.peerID])
        }
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func whicheverFamilyAnswers(_ ip: String) async throws {
        try await run(listening: ip) { listener, dialer, port in
            // Nothing listens at the same port of the other family.
            let both = [try Multiaddr("/ip4/127.0.0.1/tcp/\(port)"), try Multiaddr("/ip6/::1/tcp/\(port)")]
            try await dialer.connect(listener.peerID, both)
            #expect(dialer.remoteAddress(of: listener.peerID)?.ip == IP(ip))
            // The address that answered is tried first from now on.
            #expect(
                dialer.configuration.peerStore.addresses(of: listener.peerID).first
                    == (ip == "::1" ? both[1] : both[0]))
        }
    }

    @Test func eachFamilyRefusingIsAReason() async throws {
        try await run(listening: "127.0.0.1") { listener, dialer, _ in
            let closed = [try Multiaddr("/ip4/127.0.0.1/tcp/1"), try Multiaddr("/ip6/::1/tcp/1")]
            let error = await #expect(throws: LibP2PError.self) {
                try await dialer.connect(listener.peerID, closed)
            }
            guard case .dialFailed(let reasons) = error else {
                return #expect(Bool(false), "\(error as Any)")
            }
            #expect(reasons.contains("127.0.0.1:1") && reasons.contains("[::1]:1"))
        }
    }

    @Test func aFamilyThatSwallowsEverythingCostsAQuarterSecond() throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let network = try #require(VirtualNetwork.current)
            let (four, six) = (
                try SocketAddress(ip: "10.0.0.1", port: 0), try SocketAddress(ip: "fd00::1", port: 0)
            )
            let listener = try HostPair.host {
                $0.listenAddresses = [four, six].map { Multiaddr(ip: $0.ip, tcp: 6600) }
            }
            let source = try SocketAddress(ip: "10.0.0.2", port: 0)
            let dialer = try HostPair.host {
                $0.listenAddresses = []
                $0.dialFrom = source
            }
            try listener.start()
            try dialer.start()
            network.setLink(from: source, to: six, VirtualNetwork.Link(isCut: true))
            try await dialer.connect(listener.peerID, listener.listenAddresses)
            #expect(dialer.remoteAddress(of: listener.peerID)?.ip == four.ip)
            #expect(Reactor.now >= AddressRace.stagger && Reactor.now < AddressRace.stagger * 2)
            await dialer.stop()
            await listener.stop()
        }
    }

    @Test func aResolverThatHangsHoldsUpNoLiteral() throws {
        try MemoryNetwork.run {
            let texts = ["/dns4/slow/tcp/1", "/ip4/10.0.0.1/tcp/2", "/dns/quick/tcp/3", "/ip4/10.0.0.1"]
            let lookup = AddressLookup(try texts.map { try Multiaddr($0) }) {
                name, port, _ async throws(ReactorError) in
                let answer = try SocketAddress(ip: "10.0.0.9", port: port)
                if name == "slow" { try? await Reactor.sleep(for: .seconds(60)) }
                return [answer]
            }
            let found = await lookup.run()
            #expect(Reactor.now == AddressLookup.limit)
            #expect(found[0] == .failure(.timedOut))
            #expect(found[1] == .success([try SocketAddress(ip: "10.0.0.1", port: 2)]))
            #expect(found[2] == .success([try SocketAddress(ip: "10.0.0.9", port: 3)]))
            #expect(found[3] == .failure(.unsupportedAddress("/ip4/10.0.0.1")))
        }
    }
}
