import Glibc
import Multiformats

/// An IP address with a TCP port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// The IP address.
    public let ip: IP
    /// The TCP port; 0 means any free one.
    public let port: UInt16

    /// Creates an address from its parts.
    public init(_ ip: IP, port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// Reads an address in its usual notation, without brackets. Throws `.invalidAddress` for anything else.
    public init(ip text: String, port: UInt16) throws(ReactorError) {
        guard let ip = IP(text) else { throw .invalidAddress(text) }
        self.init(ip, port: port)
    }

    /// Reads an address written by the kernel or `getaddrinfo`; nil for another family. An IPv4 address that a
    /// dual-stack socket reports as `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2) is read as IPv4.
    init?(_ storage: UnsafePointer<sockaddr>, length: socklen_t) {
        switch Int32(storage.pointee.sa_family) {
        case AF_INET where Int(length) >= MemoryLayout<sockaddr_in>.size:
            let address = UnsafeRawPointer(storage).loadUnaligned(as: sockaddr_in.self)
            ip = IP(IPv4Address(value: UInt32(bigEndian: address.sin_addr.s_addr)))
            port = UInt16(bigEndian: address.sin_port)
        case AF_INET6 where Int(length) >= MemoryLayout<sockaddr_in6>.size:
            let address = UnsafeRawPointer(storage).loadUnaligned(as: sockaddr_in6.self)
            let (high, low) = withUnsafeBytes(of: address.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            ip = IP(IPv6Address(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)))
            port = UInt16(bigEndian: address.sin6_port)
        default: return nil
        }
    }

    /// The same address with another port.
    public func with(port: UInt16) -> SocketAddress { SocketAddress(ip, port: port) }

    /// The network whose connections are counted together (`IP.place`), without the port.
    public var network: SocketAddress { SocketAddress(ip.place.address, port: 0) }

    /// `192.0.2.1:6600` or `[2001:db8::1]:6600`.
    public var description: String { isIPv6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }

    /// Whether this is an IPv6 address.
    public var isIPv6: Bool { ip.isIPv6 }

    /// Whether the address is in the loopback network.
    public var isLoopback: Bool { ip.isLoopback }

    /// Calls `body` with the kernel's form of the address.
    func withAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: ip.high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: ip.high >> 32).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
