import Multiformats
import Peers

/// What can be wrong with the addresses and peers of a configuration, told while the file is read, so that the error names
/// its line. Each answers nil, or a reason that reads on after "which".
enum AddressCheck {
    /// An address to listen on.
    @Sendable static func listened(_ text: String) -> String? {
        do throws(HostPort.Failure) {
            _ = try HostPort(text)
            return nil
        } catch {
            return error.description
        }
    }

    /// An address to announce: others must be able to dial it.
    @Sendable static func announced(_ text: String) -> String? {
        do throws(HostPort.Failure) {
            let place = try HostPort(text)
            if place.port == 0 { return "has port 0, which nobody can dial" }
            if let ip = place.ip, ip.scope == .none {
                return "is no address of a host: peers could not dial it"
            }
            return nil
        } catch {
            return error.description
        }
    }

    /// A peer with an address.
    @Sendable static func peerWithAddress(_ text: String) -> String? {
        if PeerID(nodeOrPeer: text) != nil { return "has no address; write <node ID>@host:port" }
        return peer(text)
    }

    /// A peer by its node ID, peer ID, or an address that ends with either.
    @Sendable static func peer(_ text: String) -> String? {
        if PeerID(nodeOrPeer: text) != nil { return nil }
        do {
            return try PeerAddress.parse(text).peerID == nil ? "names no node ID" : nil
        } catch {
            return "is no peer: \(error)"
        }
    }

    /// A peer or a network that is kept out.
    @Sendable static func blocked(_ text: String) -> String? {
        BlockList.Entry(text) == nil ? "is no node ID, peer ID, IP address or network" : nil
    }
}
