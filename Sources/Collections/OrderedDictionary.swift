/// A dictionary that keeps its keys in insertion order. Giving an existing key a new value leaves it in
/// place.
///
/// Finding, adding and removing any key takes constant time. A value type like an array: copies are
/// independent, and share memory until one of them changes. Values are changed in place, without a copy.
public struct OrderedDictionary<Key: Hashable, Value> {
    @usableFromInline var table = KeyTable<Key>()
    /// The values at their keys' positions; holes are nil.
    @usableFromInline var slots: [Value?] = []

    /// Creates an empty dictionary.
    @inlinable
    public init() {}

    /// Creates a dictionary from keys and values. When a key repeats, `combine` merges the two values and the
    /// key keeps its first position.
    @inlinable
    public init(
        _ elements: some Sequence<(Key, Value)>, uniquingKeysWith combine: (Value, Value) throws -> Value
    ) rethrows {
        for (key, value) in elements {
            let spot = table.find(key)
            if spot.isThere, let old = slots[spot.position] {
                slots[spot.position] = try combine(old, value)
            } else {
                add(key, value, spot)
            }
        }
    }

    /// The number of keys.
    @inlinable public var count: Int { table.count }
    /// Whether there are no keys.
    @inlinable public var isEmpty: Bool { table.keys.isEmpty }

    /// The value of a key, or nil if the key is absent. Setting nil removes the key.
    @inlinable
    public subscript(key: Key) -> Value? {
        get {
            let spot = table.find(key)
            return spot.isThere ? slots[spot.position] : nil
        }
        set {
            let spot = table.find(key)
            if let newValue {
                if spot.isThere { slots[spot.position] = newValue } else { add(key, newValue, spot) }
            } else if spot.isThere {
                remove(spot)
            }
        }
        _modify {
            let spot = table.find(key)
            if spot.isThere {
                defer { if case .none = slots[spot.position] { remove(spot) } }
                yield &slots[spot.position]
            } else {
                var value: Value?
                defer { if let value { add(key, value, spot) } }
                yield &value
            }
        }
    }

    /// The value of a key, or the default if the key is absent. Changing the value adds the key.
    @inlinable
    public subscript(key: Key, default makeDefault: @autoclosure () -> Value) -> Value {
        get { self[key] ?? makeDefault() }
        _modify {
            let spot = table.find(key)
            let position = spot.isThere ? spot.position : add(key, nil, spot)
            // The value is moved out while it changes, so that nothing else refers to its memory.
            var value = slots[position].take() ?? makeDefault()
            defer { slots[position] = value }
            yield &value
        }
    }

    /// Removes a key and returns its value, or nil if the key is absent.
    @inlinable @discardableResult
    public mutating func removeValue(forKey key: Key) -> Value? {
        let spot = table.find(key)
        return spot.isThere ? remove(spot) : nil
    }

    /// Removes the first key. Traps if there is none.
    @inlinable
    public mutating func removeFirst() { removeFirst(1) }

    /// Removes the first `count` keys. Traps if there are fewer.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "Cannot remove more keys than a dictionary has")
        for _ in 0..<count {
            let position = table.first
            take(position, slot: table.slot(of: position))
        }
        settle()
    }

    /// Removes the keys that satisfy a condition, with their values.
    @inlinable
    public mutating func removeAll(where isRemoved: (Element) throws -> Bool) rethrows {
        var someWent = false
        defer { if someWent { compact() } }
        for position in slots.indices {
            guard let value = slots[position], try isRemoved((table.keys[position], value)) else { continue }
            slots[position] = nil
            someWent = true
        }
    }

    /// Returns the keys and values that satisfy a condition.
    @inlinable
    public func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> OrderedDictionary {
        var kept = OrderedDictionary()
        for element in self where try isIncluded(element) { kept[element.key] = element.value }
        return kept
    }

    // MARK: Positions

    /// Appends an absent key. Returns its position.
    @inlinable @discardableResult
    mutating func add(_ key: Key, _ value: Value?, _ spot: KeyTable<Key>.Spot) -> Int {
        var tag = spot.tag
        if table.isFull {
            compact()
            tag = table.find(key).tag
        }
        table.append(key, tag)
        slots.append(value)
        return slots.count &- 1
    }

    @inlinable @discardableResult
    mutating func remove(_ spot: KeyTable<Key>.Spot) -> Value? {
        let value = take(spot.position, slot: spot.slot)
        settle()
        return value
    }

    /// Removes the key at a position. Call `settle` before adding another key.
    @inlinable @discardableResult
    mutating func take(_ position: Int, slot: Int) -> Value? {
        if table.index.isEmpty {
            table.keys.remove(at: position)
            return slots.remove(at: position)
        }
        let value = slots[position].take()
        table.remove(position, slot: slot)
        while slots.count > table.keys.count { slots.removeLast() }
        return value
    }

    @inlinable
    mutating func settle() {
        if table.isSparse { compact() }
    }

    /// Removes the positions without a value.
    @inlinable @inline(never)
    mutating func compact() {
        table.compact { if case .none = slots[$0] { true } else { false } }
        var kept = 0
        for position in slots.indices {
            guard case .some = slots[position] else { continue }
            if kept < position { slots[kept] = slots[position].take() }
            kept &+= 1
        }
        slots.removeLast(slots.count - kept)
        if slots.capacity / 8 > kept { slots = slots.map { $0 } }
    }
}

extension OrderedDictionary: Sequence {
    /// A key and its value.
    public typealias Element = (key: Key, value: Value)

    /// Iterates over a dictionary's keys and values in order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline let keys: [Key]
        @usableFromInline let slots: [Value?]
        @usableFromInline var position = 0

        @inlinable
        init(_ dictionary: OrderedDictionary) {
            keys = dictionary.table.keys
            slots = dictionary.slots
        }

        /// Returns the next key and value, or nil after the last.
        @inlinable @inline(__always)
        public mutating func next() -> Element? {
            while position < slots.count {
                let at = position
                position &+= 1
                if let value = slots[at] { return (keys[at], value) }
            }
            return nil
        }
    }

    /// Returns an iterator over the current keys and values.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(self) }

    /// The number of keys.
    @inlinable public var underestimatedCount: Int { count }
}

extension OrderedDictionary: ExpressibleByDictionaryLiteral {
    /// Creates a dictionary from keys and values. A repeated key keeps its first position and takes its last
    /// value.
    @inlinable
    public init(dictionaryLiteral elements: (Key, Value)...) {
        for (key, value) in elements { self[key] = value }
    }
}

extension OrderedDictionary: Equatable where Value: Equatable {
    /// Whether both hold the same keys with the same values in the same order.
    @inlinable
    public static func == (left: OrderedDictionary, right: OrderedDictionary) -> Bool {
        left.count == right.count && left.elementsEqual(right) { $0.key == $1.key && $0.value == $1.value }
    }
}

extension OrderedDictionary: Sendable where Key: Sendable, Value: Sendable {}
