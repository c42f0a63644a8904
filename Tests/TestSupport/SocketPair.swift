import Glibc

/// Two sockets that are connected to each other.
public final class SocketPair: Sendable {
    /// The end for the code under test, which closes it.
    public let first: Int32
    /// The test's end.
    public let second: Int32

    /// Creates a pair.
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

    /// Closes the first end, if the code under test does not.
    public func closeFirst() { close(first) }

    /// Returns everything that arrives at the second end until the first is closed.
    public func readAll() -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = read(65_536) { all += bytes }
        return all
    }

    /// Waits for bytes at the second end and returns up to `count` of them; nil at the end.
    public func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = Glibc.read(second, &bytes, count)
        return got > 0 ? Array(bytes.prefix(got)) : nil
    }

    /// Sends bytes from the second end. Returns false if the first is closed.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> Bool {
        send(second, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }
}
