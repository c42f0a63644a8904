import Bytes

/// Identifies one process of a node, from its start to its end: a number drawn at the start. It is not secret.
public struct ProcessID: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of a process ID.
    public static let count = 16

    private let high: UInt64
    private let low: UInt64

    /// The ID with these 128 bits.
    public init(_ high: UInt64, _ low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 32 hexadecimal digits; nil for anything else.
    init?(hex: some StringProtocol) {
        guard hex.utf8.count == 2 * Self.count, let bytes = try? Hex.decode(hex) else { return nil }
        var reader = ByteReader(bytes)
        try? self.init(&reader)
    }

    fileprivate init(_ reader: inout ByteReader) throws(BytesError) {
        self.init(try reader.u64BE(), try reader.u64BE())
    }

    fileprivate var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.count)
        writer.putBE(u64: high)
        writer.putBE(u64: low)
        return writer.bytes
    }

    /// 32 hexadecimal digits.
    public var description: String { Hex.encode(bytes) }
}

/// What a process says in its key's name: which one it is, and which others it has heard speak in the same name
/// (docs/protocols.md, "Processes"). The signature makes it true for that moment: a process that another one names ran before
/// that one spoke.
public struct ProcessStatement: Hashable, Sendable {
    /// The most processes named besides the speaker.
    public static let mostHeard = 4

    /// The process that speaks.
    public let process: ProcessID
    /// The others of the same key that it has heard.
    public let heard: [ProcessID]

    /// A statement that names up to `mostHeard` others; the rest are left out.
    public init(_ process: ProcessID, heard: [ProcessID] = []) {
        self.process = process
        self.heard = Array(heard.prefix(Self.mostHeard))
    }

    /// Reads a statement; nil for anything else.
    public init?(decoding data: SharedBytes) {
        guard data.count % ProcessID.count == 0, data.count >= ProcessID.count,
            data.count <= ProcessID.count * (1 + Self.mostHeard)
        else { return nil }
        var reader = ByteReader(data)
        var processes: [ProcessID] = []
        while reader.remaining > 0 {
            guard let process = try? ProcessID(&reader) else { return nil }
            processes.append(process)
        }
        self.init(processes[0], heard: Array(processes.dropFirst()))
    }

    /// The statement as it is published.
    public var bytes: [UInt8] { process.bytes + heard.flatMap(\.bytes) }
}
