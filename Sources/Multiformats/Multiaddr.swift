import Bytes

/// A self-describing network address such as `/ip4/127.0.0.1/tcp/6600/p2p/12D3KooW…` (multiaddr
/// specification).
///
/// Protocols outside `Component` are rejected, in text and in binary, because their length is unknown.
public struct Multiaddr: Hashable, Sendable {
    /// The longest binary form to read, in bytes. Peers send addresses by the hundred.
    public static let byteLimit = 1024
    /// The longest text to read, in bytes.
    public static let textLimit = 2048
    /// The maximum number of components.
    public static let componentLimit = 16

    /// The components, outermost transport first. At least one.
    public let components: [Component]

    /// Parses the text form.
    public init(_ text: some StringProtocol) throws(BytesError) {
        let length = text.utf8.count
        guard length <= Multiaddr.textLimit else { throw .tooLarge(length, limit: Multiaddr.textLimit) }
        var parts = text.split(separator: "/" as Character, omittingEmptySubsequences: false).map {
            String($0)
        }[...]
        guard parts.count > 1, parts.removeFirst().isEmpty else {
            throw .invalid("a multiaddr: no leading /")
        }
        if parts.last == "" { parts.removeLast() }
        var components: [Component] = []
        while let name = parts.popFirst() {
            components.append(
                try Component(name: name) { () throws(BytesError) in
                    guard let value = parts.popFirst() else { throw .truncated }
                    return value
                })
        }
        try self.init(components)
    }

    /// Parses the binary form, which must be the whole input.
    public init(bytes: some ByteSource) throws(BytesError) {
        let bytes = bytes.withUnsafeBytes { SharedBytes(copying: $0) }
        guard bytes.count <= Multiaddr.byteLimit else {
            throw .tooLarge(bytes.count, limit: Multiaddr.byteLimit)
        }
        var reader = ByteReader(bytes)
        var components: [Component] = []
        while reader.remaining > 0 {
            components.append(try Component(from: &reader))
        }
        try self.init(components)
    }

    /// Creates an address of 1 to 16 components.
    public init(_ components: [Component]) throws(BytesError) {
        guard !components.isEmpty else { throw .truncated }
        guard components.count <= Multiaddr.componentLimit else {
            throw .tooLarge(components.count, limit: Multiaddr.componentLimit)
        }
        self.components = components
    }

    /// Creates an address from an IP address and a TCP port.
    public init(ip: IP, tcp port: UInt16) { components = [ip.component, .tcp(port)] }

    /// The binary form.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 64)
        for component in components { component.write(to: &writer) }
        return writer.bytes
    }

    /// The peer at which the address ends, if it names one.
    public var peerID: PeerID? {
        for component in components.reversed() {
            if case .p2p(let peer) = component { return peer }
        }
        return nil
    }

    /// Returns the address with `component` appended.
    public func appending(_ component: Component) -> Multiaddr {
        Multiaddr(unchecked: components + [component])
    }

    /// The address without a peer ID at its end.
    public var withoutPeerID: Multiaddr {
        guard case .p2p = components.last, components.count > 1 else { return self }
        return Multiaddr(unchecked: components.dropLast())
    }

    private init(unchecked components: [Component]) { self.components = components }

    /// The target host of a TCP connection.
    public enum Host: Hashable, Sendable {
        /// An IP address.
        case ip(IP)
        /// A name to resolve to addresses of either family.
        case dns(String)
        /// A name to resolve to IPv4 addresses.
        case dns4(String)
        /// A name to resolve to IPv6 addresses.
        case dns6(String)
    }

    /// The host and port, if the address consists of a host, a TCP port and, optionally, a peer ID.
    public var transport: (host: Host, port: UInt16)? {
        let components = withoutPeerID.components
        guard components.count == 2, case .tcp(let port) = components[1] else { return nil }
        switch components[0] {
        case .ip4(let address): return (.ip(IP(address)), port)
        case .ip6(let address): return (.ip(IP(address)), port)
        case .dns(let name): return (.dns(name), port)
        case .dns4(let name): return (.dns4(name), port)
        case .dns6(let name): return (.dns6(name), port)
        default: return nil
        }
    }
}

extension Multiaddr: CustomStringConvertible {
    /// The text form.
    public var description: String { components.map(\.description).joined() }
}
