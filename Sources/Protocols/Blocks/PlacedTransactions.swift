import Bytes
import Chain
import LibP2P
import Reactor

/// Transactions of a proposed block on a stream, each with its place, up to an end mark (docs/wire.md, section 8).
enum PlacedTransactions {
    /// The end mark, where another place would stand.
    static let end = UInt32.max
    /// Place and length, in bytes.
    static let headBytes = 8
    /// Bytes of transactions that are hashed together at most, unless one is longer.
    static let batchBytes = 256 << 10
}

/// Writes transactions and the end mark. Short transactions are copied, to be encrypted together.
@ReactorActor
struct PlacedTransactionWriter {
    private let stream: Stream
    private var short = ByteWriter()

    init(_ stream: Stream) { self.stream = stream }

    mutating func write(_ transaction: SharedBytes, at place: Int) async throws {
        short.put(u32: UInt32(clamping: place))
        short.put(u32: UInt32(clamping: transaction.count))
        let isShort = transaction.count < ProtocolLimits.gatheredBytes
        if isShort { short.put(bytes: transaction) }
        if !isShort || short.bytes.count >= ProtocolLimits.gatheredBytes { try await flush() }
        if !isShort { try await stream.write(transaction) }
    }

    /// Writes what is still gathered.
    mutating func flush() async throws {
        guard !short.bytes.isEmpty else { return }
        let bytes = short.bytes
        short = ByteWriter()
        try await stream.write(bytes)
    }

    mutating func end() async throws {
        short.put(u32: PlacedTransactions.end)
        try await flush()
    }
}

extension Stream {
    /// Reads transactions up to the end mark, all of them among `wanted` and each once, of at most `limit` bytes in all. Hands
    /// them to `take` as they come, hashed on the inbox's workers.
    func readPlaced(
        _ wanted: PlaceSet, limit: Int, _ inbox: any ConsensusInbox,
        _ take: @ReactorActor ([PlacedTransaction]) throws -> Void
    ) async throws {
        var (wanted, room) = (wanted, limit)
        var batch: [(bytes: SharedBytes, place: Int)] = []
        var size = 0
        while let head = try await readHead() {
            guard head.place < wanted.capacity, wanted[head.place] else {
                throw ProtocolsError.malformed("transaction that was not requested")
            }
            guard head.count <= room else {
                throw ProtocolsError.wrongContent("more transactions than fit into a block")
            }
            wanted[head.place] = false
            room -= head.count
            size += head.count
            batch.append((try await readShared(head.count), head.place))
            guard bytesWaiting < PlacedTransactions.headBytes || size >= PlacedTransactions.batchBytes else {
                continue
            }
            try await hash(batch, inbox, take)
            (batch, size) = ([], 0)
        }
        if !batch.isEmpty { try await hash(batch, inbox, take) }
    }

    private func hash(
        _ batch: [(bytes: SharedBytes, place: Int)], _ inbox: any ConsensusInbox,
        _ take: @ReactorActor ([PlacedTransaction]) throws -> Void
    ) async throws {
        try take(try await inbox.compute { batch.map { PlacedTransaction($0.bytes, at: $0.place) } })
    }

    /// Returns nil for the end mark.
    private func readHead() async throws -> (place: Int, count: Int)? {
        var reader = ByteReader(try await readExactly(4))
        let place = try reader.u32()
        guard place != PlacedTransactions.end else { return nil }
        reader = ByteReader(try await readExactly(4))
        return (Int(place), Int(try reader.u32()))
    }
}
