/// The memory of a deque: a buffer in which the elements lie one after the other from `head`, and go on at its
/// beginning when they reach its end.
///
/// All of the deque's unsafe code is in this file. What it rests on: the capacity is a power of two, `count` never
/// exceeds it, and exactly the `count` places from `head` on are initialized.
@usableFromInline
struct RingHeader {
    /// Places in all; a power of two.
    @usableFromInline let capacity: Int
    /// The first element's place; below `capacity`.
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    @inlinable
    init(capacity: Int) { self.capacity = capacity }

    /// Where the element with an index lies.
    @inlinable
    func place(_ index: Int) -> Int { (head &+ index) & (capacity &- 1) }
}

@usableFromInline
final class Ring<Element>: ManagedBuffer<RingHeader, Element> {
    /// Places of the smallest ring: one allocation for what most short queues hold.
    @usableFromInline static var minimumCapacity: Int { 4 }

    /// An empty ring with room for at least `count` elements.
    @inlinable
    static func with(room count: Int) -> Ring {
        // As many elements as a power of two below Int.max do not fit in any memory, so the shift never overflows.
        let capacity = 1 << (Int.bitWidth - (max(count, minimumCapacity) - 1).leadingZeroBitCount)
        let ring = create(minimumCapacity: capacity) { _ in RingHeader(capacity: capacity) }
        // `create` makes an instance of the class that it is called on.
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

    /// The places in use: those up to the buffer's end, and those that go on at its beginning.
    @inlinable
    static func halves(_ header: RingHeader) -> (Range<Int>, Range<Int>) {
        let end = header.head &+ header.count
        guard end > header.capacity else { return (header.head..<end, 0..<0) }
        return (header.head..<header.capacity, 0..<end &- header.capacity)
    }

    /// A ring with room for `room` elements, which must be at least those here, that holds the same ones.
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

    /// The same, with the elements moved there: this ring is empty after it.
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

    /// Adds an element at the back. There must be room.
    @inlinable
    func append(_ element: consuming Element) {
        let place = withUnsafeMutablePointers { header, elements in
            defer { header.pointee.count &+= 1 }
            return elements + header.pointee.place(header.pointee.count)
        }
        place.initialize(to: element)
    }

    /// Adds copies of elements at the back. There must be room.
    @inlinable
    func append(_ source: UnsafeBufferPointer<Element>) {
        withUnsafeMutablePointers { header, elements in
            guard let first = source.baseAddress else { return }
            var free = header.pointee
            precondition(source.count <= free.capacity &- free.count, "A ring has no room for so many")
            free.head = free.place(free.count)
            free.count = source.count
            let (before, after) = Self.halves(free)
            (elements + before.lowerBound).initialize(from: first, count: before.count)
            (elements + after.lowerBound).initialize(from: first + before.count, count: after.count)
            header.pointee.count &+= source.count
        }
    }

    /// Takes the first element out.
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

    /// Takes the first `count` elements out. There must be as many.
    @inlinable
    func removeFirst(_ count: Int) {
        withUnsafeMutablePointers { header, elements in
            precondition(count >= 0 && count <= header.pointee.count, "A deque has fewer elements than that")
            var gone = header.pointee
            gone.count = count
            let (before, after) = Self.halves(gone)
            header.pointee.head = header.pointee.place(count)
            header.pointee.count &-= count
            (elements + before.lowerBound).deinitialize(count: before.count)
            (elements + after.lowerBound).deinitialize(count: after.count)
        }
    }

    /// Takes the last element out.
    @inlinable
    func popLast() -> Element? {
        withUnsafeMutablePointers { header, elements in
            guard header.pointee.count > 0 else { return nil }
            header.pointee.count &-= 1
            return (elements + header.pointee.place(header.pointee.count)).move()
        }
    }

    /// An element's place in memory, for as long as the ring lives and does not change.
    @inlinable
    func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        withUnsafeMutablePointers { header, elements in
            precondition(index >= 0 && index < header.pointee.count, "A deque has no element with this index")
            return elements + header.pointee.place(index)
        }
    }
}
