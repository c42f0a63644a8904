/// The memory of a deque: a ring buffer whose elements begin at `head` and wrap around at the end.
///
/// All of the deque's unsafe code is in this file. Its invariants: the capacity is a power of two, `count`
/// never exceeds it, and exactly the `count` places from `head` on are initialized.
@usableFromInline
final class Ring<Element>: ManagedBuffer<RingHeader, Element> {
    /// The capacity of the smallest ring: one allocation suffices for most short queues.
    @usableFromInline static var minimumCapacity: Int { 4 }

    /// Returns an empty ring with room for at least `count` elements.
    @inlinable
    static func with(room count: Int) -> Ring {
        // The shift cannot overflow: no memory holds that many elements.
        let capacity = 1 << (Int.bitWidth - (max(count, minimumCapacity) - 1).leadingZeroBitCount)
        let ring = create(minimumCapacity: capacity) { _ in RingHeader(capacity: capacity) }
        // `create` returns an instance of the class it is called on.
        return unsafeDowncast(ring, to: Ring.self)
    }

    @inlinable
    deinit {
        withUnsafeMutablePointers { header, elements in
            let (before, after) = Self.halves(header.pointee)
            (elements + before.lowerBound).deinitialize(count: before.count)
            (elements + after.lowerBound).deinitialize(count: after.count)
        }
    }

    @inlinable var places: Int { withUnsafeMutablePointerToHeader { $0.pointee.capacity } }
    @inlinable var isFull: Bool {
        withUnsafeMutablePointerToHeader { $0.pointee.count == $0.pointee.capacity }
    }
    @inlinable var count: Int { withUnsafeMutablePointerToHeader { $0.pointee.count } }

    /// Returns the places in use: those up to the buffer's end, and those that wrap around to its start.
    @inlinable
    static func halves(_ header: RingHeader) -> (Range<Int>, Range<Int>) {
        let end = header.head &+ header.count
        guard end > header.capacity else { return (header.head..<end, 0..<0) }
        return (header.head..<header.capacity, 0..<end &- header.capacity)
    }

    /// Returns a copy with room for `room` elements, which must be at least `count`.
    @inlinable
    func copy(room: Int) -> Ring {
        withUnsafeMutablePointers { header, elements in
            let new = Ring.with(room: room)
            let (before, after) = Self.halves(header.pointee)
            new.withUnsafeMutablePointers { newHeader, newElements in
                newElements.initialize(from: elements + before.lowerBound, count: before.count)
                (newElements + before.count).initialize(from: elements + after.lowerBound, count: after.count)
                newHeader.pointee.count = header.pointee.count
            }
            return new
        }
    }

    /// Moves the elements to a new ring with room for `room` elements, which leaves this ring empty.
    @inlinable
    func moved(room: Int) -> Ring {
        withUnsafeMutablePointers { header, elements in
            let new = Ring.with(room: room)
            let (before, after) = Self.halves(header.pointee)
            new.withUnsafeMutablePointers { newHeader, newElements in
                newElements.moveInitialize(from: elements + before.lowerBound, count: before.count)
                (newElements + before.count)
                    .moveInitialize(from: elements + after.lowerBound, count: after.count)
                newHeader.pointee.count = header.pointee.count
            }
            header.pointee.count = 0
            return new
        }
    }

    /// Appends an element. There must be room.
    @inlinable
    func append(_ element: consuming Element) {
        let place = withUnsafeMutablePointers { header, elements in
            defer { header.pointee.count &+= 1 }
            return elements + header.pointee.place(header.pointee.count)
        }
        place.initialize(to: element)
    }

    /// Appends copies of elements. There must be room.
    @inlinable
    func append(_ source: UnsafeBufferPointer<Element>) {
        withUnsafeMutablePointers { header, elements in
            guard let first = source.baseAddress else { return }
            var free = header.pointee
            precondition(source.count <= free.capacity &- free.count, "Not enough room in the ring")
            free.head = free.place(free.count)
            free.count = source.count
            let (before, after) = Self.halves(free)
            (elements + before.lowerBound).initialize(from: first, count: before.count)
            (elements + after.lowerBound).initialize(from: first + before.count, count: after.count)
            header.pointee.count &+= source.count
        }
    }

    /// Removes and returns the first element.
    @inlinable
    func popFirst() -> Element? {
        withUnsafeMutablePointers { header, elements in
            guard header.pointee.count > 0 else { return nil }
            let first = header.pointee.head
            header.pointee.head = header.pointee.place(1)
            header.pointee.count &-= 1
            return (elements + first).move()
        }
    }

    /// Removes the first `count` elements. Traps if there are fewer.
    @inlinable
    func removeFirst(_ count: Int) {
        withUnsafeMutablePointers { header, elements in
            precondition(
                count >= 0 && count <= header.pointee.count, "Cannot remove more elements than a deque has")
            var gone = header.pointee
            gone.count = count
            let (before, after) = Self.halves(gone)
            header.pointee.head = header.pointee.place(count)
            header.pointee.count &-= count
            (elements + before.lowerBound).deinitialize(count: before.count)
            (elements + after.lowerBound).deinitialize(count: after.count)
        }
    }

    /// Removes and returns the last element.
    @inlinable
    func popLast() -> Element? {
        withUnsafeMutablePointers { header, elements in
            guard header.pointee.count > 0 else { return nil }
            header.pointee.count &-= 1
            return (elements + header.pointee.place(header.pointee.count)).move()
        }
    }

    /// Returns the address of an element, valid while the ring lives and does not change.
    @inlinable
    func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        withUnsafeMutablePointers { header, elements in
            precondition(index >= 0 && index < header.pointee.count, "Deque index out of range")
            return elements + header.pointee.place(index)
        }
    }
}

/// The bookkeeping of a ring.
@usableFromInline
struct RingHeader {
    /// The number of places; a power of two.
    @usableFromInline let capacity: Int
    /// The first element's place; below `capacity`.
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    @inlinable
    init(capacity: Int) { self.capacity = capacity }

    /// Returns the place of the element at an index.
    @inlinable
    func place(_ index: Int) -> Int { (head &+ index) & (capacity &- 1) }
}
