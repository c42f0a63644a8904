import Bytes
import Crypto
import Multiformats

/// A peer's address as written in the configuration.
public enum PeerAddress {
    /// Reads `<public key hex>#<key type>@host:port` or a multiaddr with `/p2p/`.
    public static func parse(_ text: String) throws(PeersError) -> Multiaddr {
        if text.hasPrefix("/") {
            do { return try Multiaddr(text) } catch { throw .invalidAddress("\"\(text)\": \(error)") }
        }
        guard let at = text.lastIndex(of: "@") else {
            throw .invalidAddress("\"\(text)\" is not <node ID>@host:port")
        }
        let transport = try transport(String(text[text.index(after: at)...]))
        do {
            return try Multiaddr("\(transport)/p2p/\(try PublicKey(nodeID: text[..<at]).peerID)")
        } catch {
            throw .invalidAddress("\"\(text)\": \(error)")
        }
    }

    /// Returns the multiaddr of `host:port`; an IPv6 address needs brackets.
    public static func transport(_ text: String) throws(PeersError) -> Multiaddr {
        let place: HostPort
        do { place = try HostPort(text) } catch { throw .invalidAddress("\"\(text)\" \(error)") }
        if let ip = place.ip { return Multiaddr(ip: ip, tcp: place.port) }
        do {
            return try Multiaddr("/dns/\(place.host)/tcp/\(place.port)")
        } catch {
            throw .invalidAddress("\"\(text)\": \(error)")
        }
    }
}

extension PeerID {
    /// Reads a node ID, `<public key hex>#<key type>`, or a peer ID.
    package init?(nodeOrPeer text: String) {
        if let key = try? PublicKey(nodeID: text) {
            self = key.peerID
        } else if let peer = try? PeerID(text) {
            self = peer
        } else {
            return nil
        }
    }
}
