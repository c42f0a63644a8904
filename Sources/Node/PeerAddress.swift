import Bytes
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
        let place: HostPort
        do { place = try HostPort(text) } catch { throw NodeError.failed("\"\(text)\" \(error)") }
        let name =
            switch place.ip {
            case nil: "/dns/\(place.host)"
            case .some where place.host.utf8.contains(UInt8(ascii: ":")): "/ip6/\(place.host)"
            case .some: "/ip4/\(place.host)"
            }
        do {
            return try Multiaddr("\(name)/tcp/\(place.port)")
        } catch {
            throw NodeError.failed("\"\(text)\": \(error)")
        }
    }
}
