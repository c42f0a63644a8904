import Bytes
import Chain

/// A block's transaction results as a record stores them (docs/storage.md, "Block log"): a u32 count, the u32 end of
/// each result, then the results. Reading one result does not require reading the others.
struct ResultList {
    let bytes: SharedBytes
    let count: Int

    init(_ results: [TransactionResult]) {
        var ends = ByteWriter(capacity: 4 + 4 * results.count)
        var data = ByteWriter(capacity: 24 * results.count)
        ends.put(u32: UInt32(truncatingIfNeeded: results.count))
        for result in results {
            data.put(bytes: result.bytes)
            ends.put(u32: UInt32(truncatingIfNeeded: data.bytes.count))
        }
        ends.put(bytes: data.bytes)
        bytes = SharedBytes(ends.bytes)
        count = results.count
    }

    /// Nil if the bytes are too short for the count that they start with.
    init?(decoding bytes: SharedBytes) {
        guard bytes.count >= 4 else { return nil }
        let count = Int(bytes.withUnsafeBytes { $0.word(0) })
        guard count <= (bytes.count - 4) / 4 else { return nil }
        self.bytes = bytes
        self.count = count
    }

    /// Returns the result of the transaction at `index`; nil if there is none or it cannot be decoded.
    func result(at index: Int) -> TransactionResult? {
        guard index >= 0, index < count else { return nil }
        let (start, end) = bytes.withUnsafeBytes {
            (index == 0 ? 0 : Int($0.word(4 * index)), Int($0.word(4 * index + 4)))
        }
        let data = 4 + 4 * count
        guard start <= end, end <= bytes.count - data else { return nil }
        return try? TransactionResult(decoding: bytes.slice(data + start..<data + end))
    }
}
