import Bytes
import Glibc

/// Sends datagrams to the socket that `NOTIFY_SOCKET` names: a path, or an abstract name that begins with `@`
/// (sd_notify(3)).
final class NotifySocket: Sendable {
    /// The maximum time to wait for a service manager that is too busy to take a message, in seconds.
    private static let patience = 1

    private let descriptor: Int32
    private let name: [UInt8]

    /// - Parameter name: the variable's value.
    init(_ name: [UInt8]) throws(ServiceManagerError) {
        func refuse(_ reason: String) -> ServiceManagerError {
            .invalid(variable: "NOTIFY_SOCKET", value: RawText(decoding: name).quoted(), reason)
        }
        let isAbstract = name.first == UInt8(ascii: "@")
        guard isAbstract || name.first == UInt8(ascii: "/"), name.count > 1 else {
            throw refuse("is neither an absolute path nor an abstract name such as @name")
        }
        // A path ends with a zero byte, an abstract name begins with one instead of its @.
        let limit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - (isAbstract ? 0 : 1)
        guard name.count <= limit else { throw refuse("is longer than \(limit) bytes") }
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .socket(SystemErrorText.of(errno)) }
        var limitOfSend = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limitOfSend, socklen_t(MemoryLayout<timeval>.size))
        self.name = isAbstract ? [0] + name.dropFirst() : name
    }

    deinit { close(descriptor) }

    /// Sends a datagram. Returns false if it cannot be sent, or if nobody takes it at once or, with `waits`, within a
    /// second.
    func send(_ bytes: [UInt8], waits: Bool) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
        let isAbstract = name.first == 0
        let length = socklen_t(offset + name.count + (isAbstract ? 0 : 1))
        let flags = Int32(MSG_NOSIGNAL) | (waits ? 0 : Int32(MSG_DONTWAIT))
        return withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                while true {
                    let sent = sendto(descriptor, bytes, bytes.count, flags, address, length)
                    if sent >= 0 || errno != EINTR { return sent == bytes.count }
                }
            }
        }
    }
}
