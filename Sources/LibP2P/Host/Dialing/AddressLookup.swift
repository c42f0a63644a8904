import Multiformats
import Reactor

/// Resolves the addresses of one peer to socket addresses, all at the same time, so that a name server that does not
/// answer delays no other address.
@ReactorActor
final class AddressLookup {
    typealias Found = Result<[SocketAddress], LibP2PError>

    /// How long to wait for names. A resolver asks twice within this time.
    nonisolated static let limit = Duration.seconds(5)

    /// Resolves one name; the system's resolver, except in tests.
    typealias Resolve =
        @ReactorActor @Sendable (String, UInt16, Resolver.Family) async throws(ReactorError) ->
        [SocketAddress]

    private let addresses: [Multiaddr]
    private let resolve: Resolve
    private var found: [Found?]
    private let progress = WaitQueue()

    init(
        _ addresses: [Multiaddr],
        resolve: @escaping Resolve = { name, port, family async throws(ReactorError) in
            try await Resolver.resolve(host: name, port: port, family: family)
        }
    ) {
        self.addresses = addresses
        self.resolve = resolve
        found = Array(repeating: nil, count: addresses.count)
    }

    /// Returns one result for each address, in order: `timedOut` for a name without an answer within `limit`.
    func run() async -> [Found] {
        for (index, address) in addresses.enumerated() { start(index, address) }
        await progress.wait(limit: Self.limit) { found.allSatisfy { $0 != nil } }
        return found.map { $0 ?? .failure(Task.isCancelled ? .cancelled : .timedOut) }
    }

    private func start(_ index: Int, _ address: Multiaddr) {
        guard let (host, port) = address.transport else {
            found[index] = .failure(.unsupportedAddress(address.description))
            return
        }
        switch host {
        case .ip(let ip): found[index] = .success([SocketAddress(ip, port: port)])
        case .dns(let name): ask(index, name, port, .any)
        case .dns4(let name): ask(index, name, port, .ip4)
        case .dns6(let name): ask(index, name, port, .ip6)
        }
    }

    private func ask(_ index: Int, _ name: String, _ port: UInt16, _ family: Resolver.Family) {
        Reactor.spawn {
            let answer = await Result { () async throws(ReactorError) in
                try await self.resolve(name, port, family)
            }
            self.found[index] = answer.mapError { .network($0.description) }
            self.progress.wakeAll()
        }
    }
}
