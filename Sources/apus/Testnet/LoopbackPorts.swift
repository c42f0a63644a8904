import Arguments
import Bytes
import Glibc

/// Free TCP ports of 127.0.0.1.
enum LoopbackPorts {
    /// Returns `count` distinct ports that were free a moment ago. Holds all until the last is found, so that none
    /// repeats.
    static func free(_ count: Int) throws -> [UInt16] {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        var ports: [UInt16] = []
        for _ in 0..<count {
            let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard socket >= 0 else {
                throw CommandFailure("cannot create a socket: \(SystemErrorText.of(errno))")
            }
            sockets.append(socket)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
                }
            }
            guard isBound else {
                throw CommandFailure("cannot bind a port of 127.0.0.1: \(SystemErrorText.of(errno))")
            }
            ports.append(UInt16(bigEndian: address.sin_port))
        }
        return ports
    }
}
