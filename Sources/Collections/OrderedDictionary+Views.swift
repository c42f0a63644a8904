extension OrderedDictionary {
    /// A snapshot of a dictionary's keys, in order.
    public struct Keys: Sequence {
        @usableFromInline let table: KeyTable<Key>

        @inlinable
        init(_ table: KeyTable<Key>) { self.table = table }

        /// The number of keys.
        @inlinable public var count: Int { table.count }
        /// The number of keys.
        @inlinable public var underestimatedCount: Int { count }

        /// Returns an iterator over the keys.
        @inlinable
        public func makeIterator() -> OrderedSet<Key>.Iterator { .init(table) }
    }

    /// A snapshot of a dictionary's values, in their keys' order.
    public struct Values: Sequence {
        /// Iterates over a dictionary's values in their keys' order.
        public struct Iterator: IteratorProtocol {
            @usableFromInline let slots: [Value?]
            @usableFromInline var position = 0

            @inlinable
            init(_ slots: [Value?]) { self.slots = slots }

            /// Returns the next value, or nil after the last.
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
        /// The number of values.
        public let count: Int

        @inlinable
        init(_ slots: [Value?], count: Int) {
            self.slots = slots
            self.count = count
        }

        /// The number of values.
        @inlinable public var underestimatedCount: Int { count }
        /// The value of the last key, or nil if there is none.
        @inlinable public var last: Value? { slots.last ?? nil }

        /// Returns an iterator over the values.
        @inlinable
        public func makeIterator() -> Iterator { Iterator(slots) }
    }

    /// The keys in order. A loop over them may change the dictionary, because the view is a snapshot.
    @inlinable public var keys: Keys { Keys(table) }
    /// The values in their keys' order.
    @inlinable public var values: Values { Values(slots, count: count) }
}
