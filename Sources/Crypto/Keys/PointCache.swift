import CShims
import Synchronization

/// The points of recently used compressed keys on secp256k1: `capacity` of them, about 110 KiB.
///
/// A key has two places, chosen by a hash whose seed only this process knows, so that others cannot choose keys which drive out
/// a certain one. Bytes that are no point are not kept. Safe on any thread.
final class PointCache: Sendable {
    /// The maximum number of keys: those of a large set of validators, and of some hundred busy accounts.
    static let capacity = 1_024

    private struct Key: Equatable {
        let sign: UInt8
        let x: SIMD4<UInt64>

        /// Nil unless there are 33 bytes.
        init?(_ bytes: [UInt8]) {
            guard bytes.count == 33 else { return nil }
            (sign, x) = bytes.withUnsafeBytes {
                ($0[0], $0.loadUnaligned(fromByteOffset: 1, as: SIMD4<UInt64>.self))
            }
        }
    }

    private struct Entry {
        let key: Key
        let point: secp256k1_pubkey
    }

    /// The keys with one hash, the newer first.
    private struct Places {
        var newer: Entry?
        var older: Entry?
    }

    private let places = Mutex([Places](repeating: Places(), count: capacity / 2))

    /// Returns the point of a compressed key, which `parse` finds unless it is known; nil if there is none.
    func point(of bytes: [UInt8], parse: ([UInt8]) -> secp256k1_pubkey?) -> secp256k1_pubkey? {
        guard let key = Key(bytes) else { return parse(bytes) }
        var hasher = Hasher()
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        let index = Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.capacity / 2))
        let known = places.withLock { places in
            let both = places[index]
            if let entry = both.newer, entry.key == key { return entry.point as secp256k1_pubkey? }
            if let entry = both.older, entry.key == key { return entry.point }
            return nil
        }
        if let known { return known }
        guard let point = parse(bytes) else { return nil }
        places.withLock { places in
            // Another thread may have been faster.
            guard places[index].newer?.key != key else { return }
            places[index] = Places(newer: Entry(key: key, point: point), older: places[index].newer)
        }
        return point
    }
}
