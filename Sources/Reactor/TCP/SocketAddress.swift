import Glibc

/// An IPv4 or IPv6 address with a TCP port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address's 16 bytes, big-endian; an IPv4 address occupies the first four.
    private let high: UInt64
    private let low: UInt64
    /// The TCP port; 0 means any free one.
    public let port: UInt16
    /// Whether this is an IPv6 address.
    public let isIPv6: Bool

    /// Reads an address in its usual notation, without brackets. Throws `.invalidAddress` for anything else.
    public init(ip: String, port: UInt16) throws(ReactorError) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, ip, &v4) == 1 {
            self.init(v4, port)
        } else if inet_pton(AF_INET6, ip, &v6) == 1 {
            self.init(v6, port)
        } else {
            throw .invalidAddress(ip)
        }
    }

    /// 127.0.0.1.
    init(loopbackPort port: UInt16) { self.init(in_addr(s_addr: UInt32(0x7F00_0001).bigEndian), port) }

    private init(_ address: in_addr, _ port: UInt16) {
        high = UInt64(UInt32(bigEndian: address.s_addr)) << 32
        low = 0
        self.port = port
        isIPv6 = false
    }

    private init(_ address: in6_addr, _ port: UInt16) {
        (high, low) = withUnsafeBytes(of: address) {
            (
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        self.port = port
        isIPv6 = true
    }

    /// Reads an address written by the kernel or `getaddrinfo`; nil for another family. An IPv4 address that a
    /// dual-stack socket reports as `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2) is read as IPv4.
    init?(_ storage: UnsafePointer<sockaddr>, length: socklen_t) {
        switch Int32(storage.pointee.sa_family) {
        case AF_INET where Int(length) >= MemoryLayout<sockaddr_in>.size:
            let address = UnsafeRawPointer(storage).loadUnaligned(as: sockaddr_in.self)
            self.init(address.sin_addr, UInt16(bigEndian: address.sin_port))
        case AF_INET6 where Int(length) >= MemoryLayout<sockaddr_in6>.size:
            let address = UnsafeRawPointer(storage).loadUnaligned(as: sockaddr_in6.self)
            let read = SocketAddress(address.sin6_addr, UInt16(bigEndian: address.sin6_port))
            self = read.mappedIPv4 ?? read
        default: return nil
        }
    }

    private var mappedIPv4: SocketAddress? {
        guard isIPv6, high == 0, low >> 32 == 0xFFFF else { return nil }
        return SocketAddress(in_addr(s_addr: UInt32(truncatingIfNeeded: low).bigEndian), port)
    }

    /// The same address with another port.
    public func with(port: UInt16) -> SocketAddress { SocketAddress(self, port) }

    private init(_ other: SocketAddress, _ port: UInt16) {
        high = other.high
        low = other.low
        isIPv6 = other.isIPv6
        self.port = port
    }

    /// The network whose connections are counted together: the address without the port, or the first 64 bits of an
    /// IPv6 address, since its owner chooses the rest.
    public var network: SocketAddress { SocketAddress(network: self) }

    private init(network other: SocketAddress) {
        high = other.high
        low = other.isIPv6 && !other.isLoopback ? 0 : other.low
        isIPv6 = other.isIPv6
        port = 0
    }

    /// The address without the port, in its usual notation.
    public var ip: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        withAddress { address, _ in
            let inside = UnsafeRawPointer(address)
            let offset = isIPv6 ? 8 : 4
            _ = inet_ntop(isIPv6 ? AF_INET6 : AF_INET, inside + offset, &text, socklen_t(text.count))
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `192.0.2.1:6600` or `[2001:db8::1]:6600`.
    public var description: String { isIPv6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }

    /// Whether the address is in the loopback network.
    public var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : high >> 56 == 127 }

    /// Calls `body` with the kernel's form of the address.
    func withAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
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
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: high >> 32).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
