import Bytes

/// A socket that the service manager has bound and passed on (sd_listen_fds(3)).
public struct PassedSocket: Sendable, Equatable {
    /// The number of the first passed descriptor.
    static let first: Int32 = 3
    /// The maximum number of passed sockets: a server listens on a few addresses.
    static let limit = 16

    /// The descriptor.
    public let descriptor: Int32
    /// Its name: `FileDescriptorName=` of the socket unit.
    public let name: RawText

    /// Reads the values of the variables, each nil if it is not set. Returns nothing if they are meant for another
    /// process.
    static func all(
        process: Int32, pid: [UInt8]?, count: [UInt8]?, names: [UInt8]?
    ) throws(ServiceManagerError) -> [PassedSocket] {
        guard let pid, let count else { return [] }
        guard try Number.read(pid, of: "LISTEN_PID", atMost: Int64(Int32.max)) == Int64(process) else {
            return []
        }
        let number = Int(try Number.read(count, of: "LISTEN_FDS", atMost: Int64(limit)))
        var split = (names ?? []).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        if names == nil { split = Array(repeating: ArraySlice("unknown".utf8), count: number) }
        guard split.count == number || number == 0 else {
            throw .invalid(
                variable: "LISTEN_FDNAMES", value: RawText(decoding: names ?? []).quoted(),
                "has \(split.count) names for \(number) descriptors")
        }
        return split.prefix(number).enumerated().map { index, name in
            PassedSocket(descriptor: first + Int32(index), name: RawText(decoding: name))
        }
    }
}

/// A number in a variable: decimal digits only.
enum Number {
    static func read(
        _ text: [UInt8], of variable: StaticString, atMost limit: Int64
    ) throws(ServiceManagerError) -> Int64 {
        let isNumber =
            !text.isEmpty && text.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, let number = Int64(String(decoding: text, as: UTF8.self)), number <= limit else {
            throw .invalid(
                variable: variable, value: RawText(decoding: text).quoted(),
                "is not a number from 0 to \(limit)")
        }
        return number
    }
}
