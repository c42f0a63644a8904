import Crypto
import Multiformats

/// A peer's address as configuration writes it.
public enum PeerAddress {
    /// Reads `<public key hex>#<key type>@host:port` or a multiaddr with `/p2p/`.
    public static func parse(_ text: String) throws -> Multiaddr {
        if text.hasPrefix("/") {
            do { return try Multiaddr(text) } catch { throw NodeError.failed("\"\(text)\": \(error)") }
        }
        guard let at = text.lastIndex(of: "@") else {
            throw NodeError.failed("\"\(text)\" is not <node ID>@host:port")
        }
        do {
            let key = try PublicKey(nodeID: text[..<at])
            let transport = try transport(String(text[text.index(after: at)...]))
            return try Multiaddr("\(transport)/p2p/\(key.peerID)")
        } catch let error as NodeError {
            throw error
        } catch {
            throw NodeError.failed("\"\(text)\": \(error)")
        }
    }

    /// The multiaddr of `host:port`, where an IPv6 address stands in brackets.
    public static func transport(_ text: String) throws -> Multiaddr {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw NodeError.failed("\"\(text)\" is not host:port")
        }
        let host = text[..<colon]
        let name: String
        if host.hasPrefix("["), host.hasSuffix("]") {
            name = "/ip6/\(host.dropFirst().dropLast())"
        } else if !host.isEmpty, host.utf8.allSatisfy("0123456789.".utf8.contains) {
            name = "/ip4/\(host)"
        } else {
            name = "/dns/\(host)"
        }
        do {
            return try Multiaddr("\(name)/tcp/\(port)")
        } catch {
            throw NodeError.failed("\"\(text)\": \(error)")
        }
    }
}
