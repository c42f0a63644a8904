/// A queue with two ends: elements are added at the back and taken from either end in constant time.
///
/// A value like an array: copies are independent, and share memory until one of them changes. A deque without elements
/// that was never used holds no memory; memory once grown is kept until the deque goes or is replaced. Indices are 0
/// for the first element up to `count - 1`; one beyond that is a programming error and traps, as an array's does.
public struct Deque<Element> {
    @usableFromInline var ring: Ring<Element>?

    /// A deque without elements.
    @inlinable
    public init() {}

    /// Adds an element at the back.
    @inlinable
    public mutating func append(_ element: consuming Element) {
        if !isKnownUniquelyReferenced(&ring) || ring?.isFull != false { makeRoom(1) }
        ring?.append(element)
    }

    /// Adds elements at the back, in their order.
    @inlinable
    public mutating func append(contentsOf elements: some Collection<Element>) {
        guard !elements.isEmpty else { return }
        makeRoom(elements.count)
        let isDone: Void? = elements.withContiguousStorageIfAvailable { ring?.append($0) }
        if isDone == nil { for element in elements { append(element) } }
    }

    /// Adds elements at the back, in their order.
    @inlinable
    public static func += (deque: inout Deque, elements: some Collection<Element>) {
        deque.append(contentsOf: elements)
    }

    /// Takes the first element out; nil if there is none.
    @inlinable
    public mutating func popFirst() -> Element? {
        unshare()
        return ring?.popFirst()
    }

    /// Takes the last element out; nil if there is none.
    @inlinable
    public mutating func popLast() -> Element? {
        unshare()
        return ring?.popLast()
    }

    /// Takes the first element out. There must be one.
    @inlinable @discardableResult
    public mutating func removeFirst() -> Element {
        guard let first = popFirst() else { preconditionFailure("An empty deque has no first element") }
        return first
    }

    /// Takes the first `count` elements out. There must be as many.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "A deque has fewer elements than are to be removed")
        unshare()
        ring?.removeFirst(count)
    }

    /// Takes out the elements that meet a condition; the others keep their order. Should the condition throw, the
    /// elements are all there, in another order.
    @inlinable
    public mutating func removeAll(where isRemoved: (Element) throws -> Bool) rethrows {
        guard var kept = try firstIndex(where: isRemoved) else { return }
        for index in kept + 1..<count where try !isRemoved(self[index]) {
            swapAt(kept, index)
            kept += 1
        }
        for _ in kept..<count { _ = ring?.popLast() }
    }

    /// Makes the ring this deque's alone.
    @inlinable
    mutating func unshare() {
        if !isKnownUniquelyReferenced(&ring) { makeRoom(0) }
    }

    /// Makes the ring this deque's alone and with room for `count` more elements. It at least doubles when it grows.
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
    /// One beyond the index of the last element.
    @inlinable public var endIndex: Int { ring?.count ?? 0 }
    /// Number of elements.
    @inlinable public var count: Int { endIndex }

    /// The element with an index, which must be within `indices`.
    @inlinable
    public subscript(index: Int) -> Element {
        get {
            guard let place = ring?.place(index) else { Self.hasNone() }
            return place.pointee
        }
        _modify {
            unshare()
            guard let place = ring?.place(index) else { Self.hasNone() }
            yield &place.pointee
        }
    }

    /// Goes through the elements of a deque in their order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline let ring: Ring<Element>?
        @usableFromInline var index = 0

        @inlinable
        init(_ ring: Ring<Element>?) { self.ring = ring }

        /// The next element; nil after the last.
        @inlinable
        public mutating func next() -> Element? {
            guard let ring, index < ring.count else { return nil }
            defer { index &+= 1 }
            return ring.place(index).pointee
        }
    }

    /// Goes through the elements as they are now.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(ring) }

    @usableFromInline
    static func hasNone() -> Never { preconditionFailure("A deque has no element with this index") }
}

extension Deque: ExpressibleByArrayLiteral {
    /// A deque of these elements.
    @inlinable
    public init(arrayLiteral elements: Element...) { append(contentsOf: elements) }
}

/// A ring changes only while one deque alone refers to it.
extension Deque: @unchecked Sendable where Element: Sendable {}
