import Glibc

/// Immutable bytes shared by reference: a heap block or a mapped file. A slice keeps the whole owner alive.
///
/// Copying a value copies two words and a reference, never the bytes. Safe to use from any thread, because
/// nothing may write to the bytes once a value refers to them.
public struct SharedBytes: @unchecked Sendable, Hashable {
    @usableFromInline let base: UnsafeRawPointer
    /// The number of bytes.
    public let count: Int
    @usableFromInline let owner: AnyObject?

    @inlinable
    init(base: UnsafeRawPointer, count: Int, owner: AnyObject?) {
        self.base = base
        self.count = count
        self.owner = owner
    }

    /// No bytes.
    @inlinable
    public init() {
        self.init(base: UnsafeRawPointer(SharedBytes.nowhere), count: 0, owner: nil)
    }

    /// The address of empty values. Never read.
    @usableFromInline nonisolated(unsafe) static let nowhere = UnsafeMutableRawPointer.allocate(
        byteCount: 16, alignment: 16)

    /// A copy of an array's bytes.
    public init(_ array: [UInt8]) {
        self = array.withUnsafeBytes { SharedBytes(copying: $0) }
    }

    /// A copy of a buffer's bytes.
    public init(copying bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else {
            self.init()
            return
        }
        let buffer = ByteBuffer(count: bytes.count)
        buffer.bytes.copyMemory(from: bytes)
        PathMeter.copied(bytes.count)
        self = buffer.freeze()
    }

    /// Bytes that `owner` keeps valid and unchanged for as long as it lives. Nothing is copied.
    @inlinable
    public init(unsafe base: UnsafeRawPointer, count: Int, owner: AnyObject) {
        precondition(count >= 0)
        self.init(base: base, count: count, owner: owner)
    }

    /// Whether there are no bytes.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The bytes in `range`, sharing this value's owner. The range must lie within `0..<count`.
    @inlinable
    public func slice(_ range: Range<Int>) -> SharedBytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return SharedBytes(base: base + range.lowerBound, count: range.count, owner: owner)
    }

    /// Calls `body` with the bytes, which are valid only during the call.
    @inlinable
    public func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        defer { withExtendedLifetime(owner) {} }
        return try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// The byte at `index`, which must lie within `0..<count`.
    @inlinable
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return withUnsafeBytes { $0[index] }
    }

    /// A copy as an array.
    public var array: [UInt8] {
        PathMeter.copied(count)
        return withUnsafeBytes { [UInt8]($0) }
    }

    /// Compares contents.
    @inlinable
    public static func == (left: SharedBytes, right: SharedBytes) -> Bool {
        guard left.count == right.count else { return false }
        if left.base == right.base { return true }
        return left.withUnsafeBytes { left in right.withUnsafeBytes { right in left.elementsEqual(right) } }
    }

    /// Hashes contents.
    @inlinable
    public func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

/// A block of heap memory that one owner fills and then freezes into `SharedBytes`.
///
/// Not safe to share between threads until frozen. Nothing may write to `bytes` afterwards.
public final class ByteBuffer {
    /// The block, uninitialized. Valid as long as this object or a frozen value lives.
    public let bytes: UnsafeMutableRawBufferPointer

    /// The size requested, in bytes.
    public let count: Int

    /// The bytes that are mapped: whole pages, and none beyond those in use once frozen. Zero for heap memory.
    private var mapped = 0

    /// A block of `count` bytes (not negative).
    public init(count: Int) {
        bytes = .allocate(byteCount: max(count, 1), alignment: 16)
        self.count = count
    }

    /// Reserves address space for up to `limit` bytes (more than none). Memory is used only where bytes are written, and
    /// `freeze(count:)` gives the rest of the address space back. Returns nil if the kernel refuses.
    public init?(reserving limit: Int) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard limit > 0, limit <= Int.max - Self.page else { return nil }
        let size = Self.pages(limit)
        guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else {
            return nil
        }
        bytes = UnsafeMutableRawBufferPointer(start: base, count: limit)
        count = limit
        mapped = size
    }

    deinit {
        if mapped > 0 { munmap(bytes.baseAddress, mapped) } else { bytes.deallocate() }
    }

    private static let page = 4_096

    private static func pages(_ count: Int) -> Int { (count + page - 1) / page * page }

    private func unmap(beyond count: Int) {
        let size = Self.pages(max(count, 1))
        guard size < mapped, let base = bytes.baseAddress else { return }
        munmap(base + size, mapped - size)
        mapped = size
    }

    /// Returns the whole block as immutable bytes, owned by this object.
    public func freeze() -> SharedBytes { freeze(count: count) }

    /// Returns the block's first `count` bytes as immutable bytes, owned by this object. Call it once.
    public func freeze(count: Int) -> SharedBytes {
        precondition(count >= 0 && count <= self.count)
        unmap(beyond: count)
        guard count > 0, let base = bytes.baseAddress else { return SharedBytes() }
        return SharedBytes(unsafe: UnsafeRawPointer(base), count: count, owner: self)
    }
}
