import Arguments
import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Node

extension Syntax where Value == Multiaddr {
    /// A libp2p address.
    static var multiaddr: Self {
        Syntax("MULTIADDR", expected: "an address such as /ip4/127.0.0.1/tcp/6600") { try? Multiaddr($0) }
    }
}

extension Syntax where Value == KeyType {
    /// `secp256k1` or `ed25519`.
    static var keyType: Self {
        Syntax<String>.oneOf(KeyType.allCases.map(\.name), placeholder: "TYPE")
            .map({ try? KeyType(name: $0) }, text: { $0.name })
    }
}

extension Syntax where Value == PublicKey {
    /// A node ID.
    static var nodeID: Self {
        Syntax(
            "NODE-ID", expected: "<public key hex>#<key type>", parse: { try? PublicKey(nodeID: $0) },
            text: { $0.nodeID })
    }
}

extension Syntax where Value == Hash {
    /// The ID of a transaction.
    static var transactionID: Self {
        Syntax("ID", expected: "a transaction ID of 64 hexadecimal digits") { Hash(hex: $0) }
    }
}

extension Syntax where Value == String {
    /// A file's or directory's path.
    static func path(_ placeholder: String) -> Self { text(placeholder) }

    /// `host:port` to listen on.
    static var listenAddress: Self {
        Syntax("HOST:PORT", expected: "host:port") { text in
            (try? HostPort(text)).map { _ in text }
        }
    }

    /// A peer as configuration writes it.
    static var peerAddress: Self {
        Syntax("PEER", expected: "<node ID>@host:port or a multiaddr with /p2p/") { text in
            (try? PeerAddress.parse(text)).map { _ in text }
        }
    }

    /// A topic of gossipsub.
    static var topic: Self {
        Syntax("TOPIC", expected: "a topic of 1 to \(GossipRPC.maximumTopic) bytes") {
            (1...GossipRPC.maximumTopic).contains($0.utf8.count) ? $0 : nil
        }
    }

    /// An account as people write it.
    static var account: Self {
        Syntax("ACCOUNT", expected: "a node ID, a public key or an Ethereum address") { text in
            AccountID(text: text).map { _ in text }
        }
    }

    /// Where a node answers JSON-RPC: `host:port`, or a URL with them.
    static var rpcAddress: Self {
        Syntax("HOST:PORT", expected: "host:port") { text in
            let authority = (text.hasPrefix("http://") ? text.dropFirst(7) : text[...]).prefix { $0 != "/" }
            guard let place = try? HostPort(authority), place.port > 0 else { return nil }
            return text
        }
    }
}

extension Syntax where Value == ByteCount {
    /// A number of bytes.
    static var byteCount: Self {
        Syntax("BYTES", expected: "a number of bytes such as 1000, 64KiB, 16MiB or 1GiB, below 16 EiB") {
            ByteCount($0)
        }
    }
}

/// A number of bytes as people write it: `1000`, `64KiB`, `16MiB`, `1GiB`.
struct ByteCount: Equatable, Sendable, CustomStringConvertible {
    private static let units: [(suffix: String, size: UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ]

    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(_ text: String) {
        let unit = Self.units.first { text.hasSuffix($0.suffix) }
        guard let number = UInt64(text.dropLast(unit?.suffix.count ?? 0)) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: unit?.size ?? 1)
        guard !overflow else { return nil }
        self.value = value
    }

    var description: String { String(value) }
}
