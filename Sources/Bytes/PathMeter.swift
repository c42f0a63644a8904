import Synchronization

/// Counts the bytes that user space copies and hashes, in debug builds only: a test holds a block's path through a node
/// against these counts (docs/architecture.md, "Path of a block").
public enum PathMeter {
    #if DEBUG
        private static let copiedBytes = Atomic(0)
        private static let hashedBytes = Atomic(0)

        /// The bytes copied and hashed in this process so far. A cipher's output counts as neither.
        public static var counts: (copied: Int, hashed: Int) {
            (copiedBytes.load(ordering: .relaxed), hashedBytes.load(ordering: .relaxed))
        }
    #endif

    /// Notes a copy.
    @inline(__always)
    public static func copied(_ count: Int) {
        #if DEBUG
            copiedBytes.wrappingAdd(count, ordering: .relaxed)
        #endif
    }

    /// Notes a hash.
    @inline(__always)
    public static func hashed(_ count: Int) {
        #if DEBUG
            hashedBytes.wrappingAdd(count, ordering: .relaxed)
        #endif
    }
}
