/// A double-ended queue: elements are added at the back and removed from either end in constant time.
///
/// A value type like an array: copies are independent, and share memory until one of them changes. An unused
/// deque allocates nothing; memory, once grown, is kept until the deque is destroyed or replaced. Indices run
/// from 0 to `count - 1`; any other index traps, as an array's does.
public struct Deque<Element> {
    @usableFromInline var ring: Ring<Element>?

    /// Creates an empty deque.
    @inlinable
    public init() {}

    /// Appends an element at the back.
    @inlinable
    public mutating func append(_ element: consuming Element) {
        if !isKnownUniquelyReferenced(&ring) || ring?.isFull != false { makeRoom(1) }
        ring?.append(element)
    }

    /// Appends elements at the back, in order.
    @inlinable
    public mutating func append(contentsOf elements: some Collection<Element>) {
        guard !elements.isEmpty else { return }
        makeRoom(elements.count)
        let isDone: Void? = elements.withContiguousStorageIfAvailable { ring?.append($0) }
        if isDone == nil { for element in elements { append(element) } }
    }

    /// Removes and returns the first element, or nil if there is none.
    @inlinable
    public mutating func popFirst() -> Element? {
        unshare()
        return ring?.popFirst()
    }

    /// Removes and returns the last element, or nil if there is none.
    @inlinable
    public mutating func popLast() -> Element? {
        unshare()
        return ring?.popLast()
    }

    /// Removes and returns the first element. Traps if there is none.
    @inlinable @discardableResult
    public mutating func removeFirst() -> Element {
        guard let first = popFirst() else { preconditionFailure("An empty deque has no first element") }
        return first
    }

    /// Removes the first `count` elements. Traps if there are fewer.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "Cannot remove more elements than a deque has")
        unshare()
        ring?.removeFirst(count)
    }

    /// Removes the elements that satisfy a condition; the others keep their order. If the condition throws,
    /// no element is lost but their order may have changed.
    @inlinable
    public mutating func removeAll(where isRemoved: (Element) throws -> Bool) rethrows {
        guard var kept = try firstIndex(where: isRemoved) else { return }
        for index in kept + 1..<count where try !isRemoved(self[index]) {
            swapAt(kept, index)
            kept += 1
        }
        for _ in kept..<count { _ = ring?.popLast() }
    }

    /// Makes the ring unique to this deque.
    @inlinable
    mutating func unshare() {
        if !isKnownUniquelyReferenced(&ring) { makeRoom(0) }
    }

    /// Makes the ring unique to this deque, with room for `count` more elements. Growing at least doubles it.
    @inlinable @inline(never)
    mutating func makeRoom(_ count: Int) {
        let isAlone = isKnownUniquelyReferenced(&ring)
        guard let old = ring else {
            if count > 0 { ring = Ring.with(room: count) }
            return
        }
        let room = Swift.max(old.count + count, old.places)
        guard !isAlone || room > old.places else { return }
        ring = isAlone ? old.moved(room: room) : old.copy(room: room)
    }
}

extension Deque: RandomAccessCollection, MutableCollection {
    /// The index of the first element.
    @inlinable public var startIndex: Int { 0 }
    /// The index after that of the last element.
    @inlinable public var endIndex: Int { ring?.count ?? 0 }
    /// The number of elements.
    @inlinable public var count: Int { endIndex }

    /// The element at an index, which must be within `indices`.
    @inlinable
    public subscript(index: Int) -> Element {
        get {
            guard let place = ring?.place(index) else { Self.trapOutOfRange() }
            return place.pointee
        }
        _modify {
            unshare()
            guard let place = ring?.place(index) else { Self.trapOutOfRange() }
            yield &place.pointee
        }
    }

    /// Iterates over a deque's elements in order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline let ring: Ring<Element>?
        @usableFromInline var index = 0

        @inlinable
        init(_ ring: Ring<Element>?) { self.ring = ring }

        /// Returns the next element, or nil after the last.
        @inlinable
        public mutating func next() -> Element? {
            guard let ring, index < ring.count else { return nil }
            defer { index &+= 1 }
            return ring.place(index).pointee
        }
    }

    /// Returns an iterator over the current elements.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(ring) }

    @usableFromInline
    static func trapOutOfRange() -> Never { preconditionFailure("Deque index out of range") }
}

extension Deque: ExpressibleByArrayLiteral {
    /// Creates a deque of these elements.
    @inlinable
    public init(arrayLiteral elements: Element...) { append(contentsOf: elements) }
}

/// A ring changes only while a single deque refers to it.
extension Deque: @unchecked Sendable where Element: Sendable {}
