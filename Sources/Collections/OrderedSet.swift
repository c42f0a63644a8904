/// A set that keeps its elements in insertion order.
///
/// Finding, adding and removing any element takes constant time. A value type like an array: copies are
/// independent, and share memory until one of them changes. Two sets are equal if they hold the same elements
/// in the same order.
public struct OrderedSet<Element: Hashable> {
    @usableFromInline var table = KeyTable<Element>()

    /// Creates an empty set.
    @inlinable
    public init() {}

    /// Creates a set of elements, each at its first position.
    @inlinable
    public init(_ elements: some Sequence<Element>) {
        table.reserve(elements.underestimatedCount)
        append(contentsOf: elements)
    }

    /// The number of elements.
    @inlinable public var count: Int { table.count }
    /// Whether there are no elements.
    @inlinable public var isEmpty: Bool { table.keys.isEmpty }
    /// The first element, or nil if there is none.
    @inlinable public var first: Element? { isEmpty ? nil : table.keys[table.first] }
    /// The last element, or nil if there is none.
    @inlinable public var last: Element? { table.keys.last }

    /// Returns whether an element is present.
    @inlinable
    public func contains(_ element: Element) -> Bool { table.find(element).isThere }

    /// Appends an element unless it is present. Returns whether it was appended.
    @inlinable @discardableResult
    public mutating func append(_ element: Element) -> Bool {
        if table.index.isEmpty {
            if table.scan(element) >= 0 { return false }
            if table.keys.count < KeyTable<Element>.unhashed {
                table.keys.append(element)
                return true
            }
        }
        return appendHashed(element)
    }

    @inlinable
    mutating func appendHashed(_ element: Element) -> Bool {
        var spot = table.find(element)
        guard !spot.isThere else { return false }
        if table.isFull {
            table.compact()
            spot = table.find(element)
        }
        table.append(element, spot.tag)
        return true
    }

    /// Appends the elements that are not present, in order.
    @inlinable
    public mutating func append(contentsOf elements: some Sequence<Element>) {
        for element in elements { append(element) }
    }

    /// Removes an element and returns it, or nil if it is absent.
    @inlinable @discardableResult
    public mutating func remove(_ element: Element) -> Element? {
        if table.index.isEmpty {
            let position = table.scan(element)
            return position < 0 ? nil : table.keys.remove(at: position)
        }
        let spot = table.probe(element)
        guard spot.isThere else { return nil }
        let removed = table.remove(spot.position, slot: spot.slot)
        if table.isSparse { table.compact() }
        return removed
    }

    /// Removes the first `count` elements. Traps if there are fewer.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "Cannot remove more elements than a set has")
        for _ in 0..<count {
            let position = table.first
            table.remove(position, slot: table.slot(of: position))
        }
        if table.isSparse { table.compact() }
    }

    /// Returns the elements that satisfy a condition.
    @inlinable
    public func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> OrderedSet {
        var kept = OrderedSet()
        for element in self where try isIncluded(element) { kept.append(element) }
        return kept
    }

    /// Returns the last element that satisfies a condition, or nil if none does.
    @inlinable
    public func last(where isSought: (Element) throws -> Bool) rethrows -> Element? {
        for position in table.keys.indices.reversed() {
            guard !table.hasHoles || !table.index.isHole(position) else { continue }
            if try isSought(table.keys[position]) { return table.keys[position] }
        }
        return nil
    }
}

extension OrderedSet: Sequence {
    /// Iterates over a set's elements in order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline var keys: IndexingIterator<[Element]>
        /// The index, needed only if there are holes.
        @usableFromInline let index: PositionIndex
        @usableFromInline let hasHoles: Bool
        @usableFromInline var position = -1

        @inlinable
        init(_ table: KeyTable<Element>) {
            keys = table.keys.makeIterator()
            hasHoles = table.hasHoles
            index = hasHoles ? table.index : PositionIndex()
        }

        /// Returns the next element, or nil after the last.
        @inlinable @inline(__always)
        public mutating func next() -> Element? {
            guard hasHoles else { return keys.next() }
            while let key = keys.next() {
                position &+= 1
                if !index.isHole(position) { return key }
            }
            return nil
        }
    }

    /// Returns an iterator over the current elements.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(table) }

    /// The number of elements.
    @inlinable public var underestimatedCount: Int { count }
}

extension OrderedSet: Hashable {
    /// Whether both hold the same elements in the same order.
    @inlinable
    public static func == (left: OrderedSet, right: OrderedSet) -> Bool {
        left.count == right.count && left.elementsEqual(right)
    }

    /// Hashes the elements in order.
    @inlinable
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for element in self { hasher.combine(element) }
    }
}

extension OrderedSet: ExpressibleByArrayLiteral {
    /// Creates a set of elements, each at its first position.
    @inlinable
    public init(arrayLiteral elements: Element...) { self.init(elements) }
}

extension OrderedSet: Sendable where Element: Sendable {}
