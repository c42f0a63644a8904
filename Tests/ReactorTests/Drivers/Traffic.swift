import Glibc
import Reactor

/// Returns `count` bytes in which misplaced ones are noticed: byte `i` is a hash of its index.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] { (start..<start + count).map(patternByte) }

/// Returns byte `index` of the pattern.
func patternByte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: (index &* 0x9E37_79B1) >> 16) }

/// Sends the pattern, up to the connection's high water.
@ReactorActor
final class Producer {
    static let pieceSize = 65_536
    let connection: TCPConnection
    let size: Int
    private(set) var produced = 0

    init(_ connection: TCPConnection, size: Int) {
        self.connection = connection
        self.size = size
    }

    func produce() {
        while produced < size, !connection.isAboveHighWater, connection.isWritable {
            let count = min(size - produced, Self.pieceSize)
            let room = connection.reserve(count)
            for index in 0..<count { room[index] = patternByte(produced &+ index) }
            connection.commit(count)
            produced += count
        }
    }
}

/// Checks that the bytes received are the pattern from its start.
@ReactorActor
final class PatternChecker {
    private(set) var isRight = true
    private var position = 0

    func check(_ bytes: UnsafeMutableRawBufferPointer) {
        for byte in bytes {
            if byte != patternByte(position) { isRight = false }
            position &+= 1
        }
    }
}

/// Waits until a value has not changed for a while, in reactor time.
@ReactorActor
func untilStable(_ value: @ReactorActor () -> Int) async throws {
    var last = value()
    var unchanged = 0
    while unchanged < 20 {
        try await Reactor.sleep(for: .milliseconds(5))
        unchanged = value() == last ? unchanged + 1 : 0
        last = value()
    }
}

/// Creates a listening socket whose queue takes one connection, which it never accepts.
func unresponsiveListener() throws -> (descriptor: Int32, address: SocketAddress) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Int32 in
            if bind(descriptor, pointer, length) != 0 { return errno }
            if listen(descriptor, 0) != 0 { return errno }
            return getsockname(descriptor, pointer, &length)
        }
    }
    guard descriptor >= 0, result == 0 else {
        throw ReactorError.system(operation: "listen", code: result)
    }
    return (descriptor, try SocketAddress(ip: "127.0.0.1", port: UInt16(bigEndian: address.sin_port)))
}
