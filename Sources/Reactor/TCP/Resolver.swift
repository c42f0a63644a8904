import CShims
import Glibc
import Multiformats

/// Resolves names to addresses with the system's resolver, on threads of its own.
public enum Resolver {
    /// The address family to resolve to.
    public enum Family: Sendable {
        /// IPv4 and IPv6, in the system's order of preference.
        case any
        /// IPv4 only.
        case ip4
        /// IPv6 only.
        case ip6
    }

    /// The most addresses taken from one answer.
    public static let largestAnswer = 16
    /// Each thread resolves one name at a time; a query that hangs delays only those queued behind it.
    private static let workers = (0..<4).map { Worker(name: "apus-resolve-\($0)", capacity: 64) }

    /// Returns the addresses of `host` with `port`; a literal address needs no query. Throws `.nameNotResolved`.
    public static func resolve(
        host: String, port: UInt16, family: Family = .any
    ) async throws(ReactorError) -> [SocketAddress] {
        if let literal = IP(host) {
            guard family == .any || literal.isIPv6 == (family == .ip6) else {
                throw .nameNotResolved("\(host) is an address of the other family")
            }
            return [SocketAddress(literal, port: port)]
        }
        guard let worker = workers.min(by: { $0.depth < $1.depth }) else { throw .closed }
        do {
            return try await worker.run { try ask(host, port, family) }
        } catch let error as ReactorError {
            throw error
        } catch {
            throw .closed
        }
    }

    private static func ask(_ host: String, _ port: UInt16, _ family: Family) throws(ReactorError)
        -> [SocketAddress]
    {
        var hints = addrinfo()
        hints.ai_family =
            switch family {
            case .any: AF_UNSPEC
            case .ip4: AF_INET
            case .ip6: AF_INET6
            }
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, nil, &hints, &list)
        guard result == 0 else { throw .nameNotResolved("\(host): \(String(cString: gai_strerror(result)))") }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee, addresses.count < largestAnswer {
            if let raw = entry.ai_addr, let address = SocketAddress(raw, length: entry.ai_addrlen) {
                addresses.append(address.with(port: port))
            }
            next = entry.ai_next
        }
        guard !addresses.isEmpty else { throw .nameNotResolved("\(host): no address") }
        return addresses
    }
}
