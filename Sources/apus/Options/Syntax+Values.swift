import Arguments
import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Node
import Peers

extension Syntax where Value == Multiaddr {
    /// A multiaddr.
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
    /// A transaction ID.
    static var transactionID: Self {
        Syntax("ID", expected: "a transaction ID of 64 hexadecimal digits") { Hash(hex: $0) }
    }
}

extension Syntax where Value == String {
    /// The path of a file or directory.
    static func path(_ placeholder: String) -> Self { text(placeholder) }

    /// An address to listen on, `host:port`.
    static var listenAddress: Self {
        Syntax("HOST:PORT", expected: "host:port") { text in
            (try? HostPort(text)).map { _ in text }
        }
    }

    /// A peer in the configuration's notation.
    static var peerAddress: Self {
        Syntax("PEER", expected: "<node ID>@host:port or a multiaddr with /p2p/") { text in
            (try? PeerAddress.parse(text)).map { _ in text }
        }
    }

    /// A gossipsub topic.
    static var topic: Self {
        Syntax("TOPIC", expected: "a topic of 1 to \(GossipRPC.maximumTopic) bytes") {
            (1...GossipRPC.maximumTopic).contains($0.utf8.count) ? $0 : nil
        }
    }

    /// An account: a node ID, a public key or an Ethereum address.
    static var account: Self {
        Syntax("ACCOUNT", expected: "a node ID, a public key or an Ethereum address") { text in
            AccountID(text: text).map { _ in text }
        }
    }

    /// A node's JSON-RPC address: `host:port`, or an `http://` URL that contains it.
    static var rpcAddress: Self {
        Syntax("HOST:PORT", expected: "host:port") { text in
            let authority = (text.hasPrefix("http://") ? text.dropFirst(7) : text[...]).prefix { $0 != "/" }
            guard let place = try? HostPort(authority), place.port > 0 else { return nil }
            return text
        }
    }
}
