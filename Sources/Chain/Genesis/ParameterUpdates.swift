import Bytes
import Crypto

/// Changes of network parameters by a block; nil keeps a parameter (docs/wire.md, sections 4 and 5).
public struct ParameterUpdates: Hashable, Sendable, WireDecodable {
    /// `disabled_gas_costs`.
    public var disabledGasCosts: Bool?
    /// `join_expiry` in nanoseconds.
    public var joinExpiry: Int64?
    /// `leader`.
    public var leader: PublicKey?
    /// `maa_activation_height`.
    public var maaActivationHeight: Int64?
    /// `max_block_size` in bytes.
    public var maxBlockSize: Int64?
    /// `max_votes_per_tx`.
    public var maxVotesPerTransaction: Int64?
    /// `migration_status`.
    public var migrationStatus: String?

    /// Creates updates that change nothing.
    public init() {}

    /// Whether the updates change nothing.
    public var isEmpty: Bool { self == ParameterUpdates() }

    package static let kind = "parameter updates"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        let count = try reader.u16()
        var previous = ""
        for _ in 0..<count {
            let name = try reader.text(Int(reader.u16()))
            guard previous < name else { throw .invalid("ordered by name") }
            previous = name
            switch name {
            case "disabled_gas_costs": disabledGasCosts = try reader.flag()
            case "join_expiry": joinExpiry = try reader.i64()
            case "leader": leader = try decodedKey(wire: reader.bytes(Int(reader.u16())).array)
            case "maa_activation_height": maaActivationHeight = try reader.i64()
            case "max_block_size": maxBlockSize = try reader.i64()
            case "max_votes_per_tx": maxVotesPerTransaction = try reader.i64()
            case "migration_status": migrationStatus = try reader.text(Int(reader.u16()))
            default: throw .invalid("a network parameter")
            }
        }
    }

    /// u16 version, u16 count, then u16 length, name and value of each, by name.
    public var bytes: [UInt8] {
        var values = ByteWriter()
        var count: UInt16 = 0
        func put(_ name: String, _ value: (inout ByteWriter) -> Void) {
            count += 1
            values.put(u16: UInt16(clamping: name.utf8.count))
            values.put(text: name)
            value(&values)
        }
        if let disabledGasCosts { put("disabled_gas_costs") { $0.put(u8: disabledGasCosts ? 1 : 0) } }
        if let joinExpiry { put("join_expiry") { $0.put(i64: joinExpiry) } }
        if let leader {
            put("leader") {
                let wire = leader.wire
                $0.put(u16: UInt16(clamping: wire.count))
                $0.put(bytes: wire)
            }
        }
        if let maaActivationHeight { put("maa_activation_height") { $0.put(i64: maaActivationHeight) } }
        if let maxBlockSize { put("max_block_size") { $0.put(i64: maxBlockSize) } }
        if let maxVotesPerTransaction { put("max_votes_per_tx") { $0.put(i64: maxVotesPerTransaction) } }
        if let migrationStatus {
            put("migration_status") {
                let text = Array(migrationStatus.utf8.prefix(Int(UInt16.max)))
                $0.put(u16: UInt16(clamping: text.count))
                $0.put(bytes: text)
            }
        }
        var writer = ByteWriter()
        writer.put(u16: 0)
        writer.put(u16: count)
        writer.put(bytes: values.bytes)
        return writer.bytes
    }
}
