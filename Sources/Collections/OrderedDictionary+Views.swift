extension OrderedDictionary {
    /// The keys of a dictionary in their order, as they were when this view of them was taken.
    public struct Keys: Sequence {
        @usableFromInline let table: KeyTable<Key>

        @inlinable
        init(_ table: KeyTable<Key>) { self.table = table }

        /// Number of keys.
        @inlinable public var count: Int { table.count }
        /// Number of keys.
        @inlinable public var underestimatedCount: Int { count }
        /// Whether there are no keys.
        @inlinable public var isEmpty: Bool { table.keys.isEmpty }

        /// Whether a key is there.
        @inlinable
        public func contains(_ key: Key) -> Bool { table.find(key).isThere }

        /// Goes through the keys.
        @inlinable
        public func makeIterator() -> OrderedSet<Key>.Iterator { .init(table) }
    }

    /// The values of a dictionary in their keys' order, as they were when this view of them was taken.
    public struct Values: Sequence {
        /// Goes through the values of a dictionary in their keys' order.
        public struct Iterator: IteratorProtocol {
            @usableFromInline let slots: [Value?]
            @usableFromInline var position = 0

            @inlinable
            init(_ slots: [Value?]) { self.slots = slots }

            /// The next value; nil after the last.
            @inlinable @inline(__always)
            public mutating func next() -> Value? {
                while position < slots.count {
                    let value = slots[position]
                    position &+= 1
                    if let value { return value }
                }
                return nil
            }
        }

        @usableFromInline let slots: [Value?]
        /// Number of values.
        public let count: Int

        @inlinable
        init(_ slots: [Value?], count: Int) {
            self.slots = slots
            self.count = count
        }

        /// Number of values.
        @inlinable public var underestimatedCount: Int { count }
        /// Whether there are no values.
        @inlinable public var isEmpty: Bool { count == 0 }
        /// The value of the key that came last; nil if there is none.
        @inlinable public var last: Value? { slots.last ?? nil }

        /// Goes through the values.
        @inlinable
        public func makeIterator() -> Iterator { Iterator(slots) }
    }

    /// The keys in their order. A loop over them may change values, or the dictionary, which the view does not notice.
    @inlinable public var keys: Keys { Keys(table) }
    /// The values in their keys' order.
    @inlinable public var values: Values { Values(slots, count: count) }
}
