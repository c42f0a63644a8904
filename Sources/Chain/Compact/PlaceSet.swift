/// A set of places, such as those of a block's transactions, as a bitmap: the lowest bit of the first byte is place 0, and bits
/// that remain are 0 (docs/wire.md, section 8).
public struct PlaceSet: Hashable, Sendable {
    /// The number of places, in the set or not.
    public let capacity: Int
    /// The bitmap.
    public private(set) var bytes: [UInt8]

    /// Creates an empty set.
    public init(capacity: Int) {
        self.capacity = capacity
        bytes = [UInt8](repeating: 0, count: Self.size(of: capacity))
    }

    /// Decodes a bitmap. Throws if it has another size, or names a place that does not exist.
    public init(decoding bytes: [UInt8], capacity: Int) throws(ChainError) {
        self.capacity = capacity
        self.bytes = bytes
        guard bytes.count == Self.size(of: capacity),
            capacity % 8 == 0 || bytes[bytes.count - 1] &>> (capacity % 8) == 0
        else { throw .malformed("bitmap", .invalid("places that do not exist")) }
    }

    /// The size of a bitmap, in bytes.
    public static func size(of capacity: Int) -> Int { (capacity + 7) / 8 }

    /// Whether a place, which must exist, is in the set.
    public subscript(place: Int) -> Bool {
        get { bytes[place / 8] &>> (place % 8) & 1 == 1 }
        set {
            if newValue {
                bytes[place / 8] |= 1 &<< (place % 8)
            } else {
                bytes[place / 8] &= ~(1 &<< (place % 8))
            }
        }
    }

    /// The places in the set, in ascending order.
    public var places: [Int] { (0..<capacity).filter { self[$0] } }

    /// Whether the set is empty.
    public var isEmpty: Bool { bytes.allSatisfy { $0 == 0 } }
}
