import Glibc

/// Two sockets that are connected with each other.
public final class SocketPair: Sendable {
    /// The end that a test hands to what it tests.
    public let first: Int32
    /// The other end.
    public let second: Int32

    /// A new pair.
    public init() throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0
        else {
            throw Failure()
        }
        (first, second) = (ends[0], ends[1])
    }

    deinit { close(second) }

    private struct Failure: Error {}

    /// Closes the first end, which whoever has it does otherwise.
    public func closeFirst() { close(first) }

    /// What comes at the second end until the first is closed.
    public func readAll() -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = read(65_536) { all += bytes }
        return all
    }

    /// What comes next at the second end, at most `count` bytes; nil at the end.
    public func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = Glibc.read(second, &bytes, count)
        return got > 0 ? Array(bytes.prefix(got)) : nil
    }

    /// Sends bytes from the second end; false when the first is closed.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> Bool {
        send(second, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }
}
