/// A set whose elements keep the order in which they came.
///
/// Finding, adding and removing an element take constant time, wherever it stands. A value like an array: copies are
/// independent, and share memory until one of them changes. Two sets are equal if they hold the same elements in the
/// same order.
public struct OrderedSet<Element: Hashable> {
    @usableFromInline var table = KeyTable<Element>()

    /// A set without elements.
    @inlinable
    public init() {}

    /// The elements, each where it first comes.
    @inlinable
    public init(_ elements: some Sequence<Element>) {
        table.reserve(elements.underestimatedCount)
        append(contentsOf: elements)
    }

    /// Number of elements.
    @inlinable public var count: Int { table.count }
    /// Whether there are no elements.
    @inlinable public var isEmpty: Bool { table.keys.isEmpty }
    /// The element that came first; nil if there is none.
    @inlinable public var first: Element? { isEmpty ? nil : table.keys[table.first] }
    /// The element that came last; nil if there is none.
    @inlinable public var last: Element? { table.keys.last }

    /// Whether an element is there.
    @inlinable
    public func contains(_ element: Element) -> Bool { table.find(element).isThere }

    /// Adds an element at the end, unless it is there; returns whether it was not.
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
            table.closeRanks()
            spot = table.find(element)
        }
        table.append(element, spot.tag)
        return true
    }

    /// Adds elements at the end, in their order, except those that are there.
    @inlinable
    public mutating func append(contentsOf elements: some Sequence<Element>) {
        for element in elements { append(element) }
    }

    /// Removes an element and returns it; nil if it is not there.
    @inlinable @discardableResult
    public mutating func remove(_ element: Element) -> Element? {
        if table.index.isEmpty {
            let position = table.scan(element)
            return position < 0 ? nil : table.keys.remove(at: position)
        }
        let spot = table.probe(element)
        guard spot.isThere else { return nil }
        let removed = table.remove(spot.position, slot: spot.slot)
        if table.isSparse { table.closeRanks() }
        return removed
    }

    /// Removes the `count` elements that came first. There must be as many.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "A set has fewer elements than are to be removed")
        for _ in 0..<count {
            let position = table.first
            table.remove(position, slot: table.slot(of: position))
        }
        if table.isSparse { table.closeRanks() }
    }

    /// The elements that meet a condition.
    @inlinable
    public func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> OrderedSet {
        var kept = OrderedSet()
        for element in self where try isIncluded(element) { kept.append(element) }
        return kept
    }

    /// The last element that meets a condition; nil if none does.
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
    /// Goes through the elements of a set in their order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline var keys: IndexingIterator<[Element]>
        /// Only if there are holes.
        @usableFromInline let index: PositionIndex
        @usableFromInline let hasHoles: Bool
        @usableFromInline var position = -1

        @inlinable
        init(_ table: KeyTable<Element>) {
            keys = table.keys.makeIterator()
            hasHoles = table.hasHoles
            index = hasHoles ? table.index : PositionIndex()
        }

        /// The next element; nil after the last.
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

    /// Goes through the elements as they are now.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(table) }

    /// Number of elements.
    @inlinable public var underestimatedCount: Int { count }
}

extension OrderedSet: Hashable {
    /// Whether both hold the same elements in the same order.
    @inlinable
    public static func == (left: OrderedSet, right: OrderedSet) -> Bool {
        left.count == right.count && left.elementsEqual(right)
    }

    /// Feeds the elements into a hash, in their order.
    @inlinable
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for element in self { hasher.combine(element) }
    }
}

extension OrderedSet: ExpressibleByArrayLiteral {
    /// The elements, each where it first comes.
    @inlinable
    public init(arrayLiteral elements: Element...) { self.init(elements) }
}

extension OrderedSet: Sendable where Element: Sendable {}
