import Multiformats
import Peers

/// Checks of the addresses and peers in a configuration, made while the file is parsed, so that the error names the
/// line. Each returns nil, or a reason that reads on after "which".
enum AddressCheck {
    /// Checks an address to listen on.
    @Sendable static func listened(_ text: String) -> String? {
        do throws(HostPort.Failure) {
            _ = try HostPort(text)
            return nil
        } catch {
            return error.description
        }
    }

    /// Checks an address to announce, which others must be able to dial.
    @Sendable static func announced(_ text: String) -> String? {
        guard let place = try? HostPort(text) else { return listened(text) }
        if place.port == 0 { return "has port 0, which peers cannot dial" }
        if let ip = place.ip, ip.scope == .none { return "is no address of a host: peers could not dial it" }
        return nil
    }

    /// Checks a peer with an address.
    @Sendable static func peerWithAddress(_ text: String) -> String? {
        if PeerID(nodeOrPeer: text) != nil { return "has no address; write <node ID>@host:port" }
        return peer(text)
    }

    /// Checks a node ID, a peer ID, or an address that ends with either.
    @Sendable static func peer(_ text: String) -> String? {
        if PeerID(nodeOrPeer: text) != nil { return nil }
        do {
            return try PeerAddress.parse(text).peerID == nil ? "does not end with a node ID or peer ID" : nil
        } catch {
            return "is no peer: \(error)"
        }
    }

    /// Checks a peer or network to block.
    @Sendable static func blocked(_ text: String) -> String? {
        BlockList.Entry(text) == nil ? "is no node ID, peer ID, IP address or network" : nil
    }
}
