import Collections
import Glibc
import Reactor
import Storage
import Synchronization

/// A disk in memory that loses power, fills up and fails as a real one may, determined by its seed (docs/storage.md,
/// "Virtual disk").
///
/// Each file has its content on the device and the changes since its last synchronization; each directory has the
/// same for its names. `powerFail` keeps an arbitrary part of the changes, in pieces of a sector. A process uses the
/// disk through a `mount`, which dies with the process. Thread-safe; deterministic if operations come in the same
/// order.
package final class VirtualDisk: Sendable {
    /// An operation that changes the device or makes changes durable.
    package struct Operation: Sendable, Hashable, CustomStringConvertible {
        /// The kind of an operation.
        package enum Kind: String, Sendable {
            case create, write, synchronize, truncate, rename, remove, synchronizeDirectory, makeDirectory
        }

        package let kind: Kind
        package let path: String
        /// The number of bytes written, or 0.
        package let bytes: Int

        package var description: String { "\(kind.rawValue) \(path)\(bytes > 0 ? " \(bytes)" : "")" }
    }

    /// The unit that a device writes whole, in bytes.
    static let sector = 512
    /// The unit that a kernel writes to its memory whole, in bytes.
    static let page = 4096

    /// The operations of a disk so far.
    package struct Counters: Sendable, Hashable {
        /// Operations requested, including failed ones.
        package var operations = 0
        /// Writes.
        package var writes = 0
        /// Bytes written.
        package var bytesWritten = 0
        /// Synchronizations of files and directories.
        package var synchronizations = 0
        /// Bytes read.
        package var bytesRead = 0
        /// Steps of operations by jobs that must not wait for a disk.
        package var misplaced = 0
    }

    struct State {
        var inodes: [Int: VirtualInode] = [:]
        var nextInode = 0
        var names = VirtualNames()
        /// Open files without a name.
        var nameless: Set<Int> = []
        /// The number of crashes. Mounts, open files and locks from before the last one are dead.
        var generation = 0
        /// Whether the last crash killed the process and the power stayed on.
        var wasKilled = false
        var locks: Set<String> = []
        var capacity: Int?
        /// The size of all files, in bytes.
        var used = 0
        var random: SeededGenerator
        var salts: SeededGenerator
        var counters = Counters()
    }

    private let state: Mutex<State>
    private let hook = Mutex<(@Sendable (Operation) -> Int32?)?>(nil)

    /// Creates an empty disk.
    package init(seed: UInt64) {
        state = Mutex(
            State(random: SeededGenerator(seed: seed ^ 0x6469_736B), salts: SeededGenerator(seed: ~seed)))
    }

    /// Returns the disk as one process sees it, until the next crash.
    package func mount() -> any Disk { VirtualMount(self, state.withLock { $0.generation }) }

    // MARK: Faults

    /// Sets a function that is called before each operation. If it returns an `errno`, the operation fails with it.
    /// The hook's effects on the disk, including a crash, precede the operation. A failed write, and a write in which
    /// the process is killed, still writes a part from the front. A failed `synchronize` of a file may lose the data,
    /// as with kernels.
    package func setHook(_ hook: (@Sendable (Operation) -> Int32?)?) { self.hook.withLock { $0 = hook } }

    /// Sets the disk's capacity in bytes; nil for no limit.
    package func setCapacity(_ capacity: Int?) { state.withLock { $0.capacity = capacity } }

    /// The size of all files, in bytes.
    package var usedBytes: Int { state.withLock { $0.used } }

    /// The number of operations requested so far.
    package var operations: Int { counters.operations }

    /// The operations so far.
    package var counters: Counters { state.withLock { $0.counters } }

    /// Cuts the power: unsynchronized changes survive in part or not at all. Mounts, open files and locks are dead.
    package func powerFail() {
        state.withLock { state in
            state.crash(isKill: false)
            state.names.powerFail(&state.random)
            for number in state.inodes.keys.sorted() { state.inodes[number]?.powerFail(&state.random) }
            state.collect()
        }
    }

    /// Kills the process: its writes stay. Mounts, open files and locks are dead.
    package func kill() {
        state.withLock { state in
            state.crash(isKill: true)
            for number in state.inodes.keys.sorted() { state.inodes[number]?.forget() }
            state.collect()
        }
    }

    /// Erases everything.
    package func wipe() {
        state.withLock { state in
            state.crash(isKill: false)
            state.names = VirtualNames()
            state.inodes = [:]
            state.used = 0
        }
    }

    /// Flips one bit on the device in a file whose path `isMeant` accepts. Returns its place, or nil if there is no
    /// such file.
    package func flipBit(where isMeant: (String) -> Bool) -> (path: String, offset: Int)? {
        state.withLock { state in
            let files = state.names.durableFiles.filter {
                isMeant($0.path) && (state.inodes[$0.number]?.durableLength ?? 0) > 0
            }
            guard !files.isEmpty else { return nil }
            // Each byte is equally likely.
            let total = files.reduce(0) { $0 + (state.inodes[$1.number]?.durableLength ?? 0) }
            var offset = Int(state.random.below(total))
            for (path, number) in files {
                let length = state.inodes[number]?.durableLength ?? 0
                if offset < length {
                    state.inodes[number]?.flip(at: offset, bit: state.random.next())
                    return (path, offset)
                }
                offset -= length
            }
            return nil
        }
    }

    // MARK: Operations

    /// Calls the hook for an operation. Throws the error that it returns, or EIO if the process is dead.
    func ask(
        _ kind: Operation.Kind, _ path: String, _ generation: Int, _ name: String, bytes: Int = 0
    ) throws(StorageError) {
        state.withLock { $0.counters.operations += 1 }
        let code = hook.withLock { $0 }?(Operation(kind: kind, path: path, bytes: bytes))
        let isDead = state.withLock { $0.generation != generation }
        if let code = isDead ? EIO : code { throw .system(operation: name, path: path, errno: code) }
    }

    /// Runs `body`, or throws EIO if the process is dead.
    func perform<R: Sendable>(
        _ name: String, _ path: String, _ generation: Int,
        _ body: (inout State) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        try state.withLock { state throws(StorageError) in
            if !Worker.mayBlock { state.counters.misplaced += 1 }
            guard state.generation == generation else {
                throw .system(operation: name, path: path, errno: EIO)
            }
            return try body(&state)
        }
    }

    /// Applies a part of a write that the hook made fail or in which it killed the process. The part ends between two
    /// pages of memory, because nothing interrupts a kernel within one.
    func tear(_ file: Int, _ bytes: [UInt8], at offset: Int, _ generation: Int) {
        state.withLock { state in
            let isAlive = state.generation == generation
            guard isAlive || state.wasKilled && state.generation == generation + 1 else { return }
            let pages = offset / VirtualDisk.page...(offset + bytes.count) / VirtualDisk.page
            let end = (pages.lowerBound + Int(state.random.below(pages.count + 1))) * VirtualDisk.page
            _ = state.write(file, Array(bytes[..<min(bytes.count, max(0, end - offset))]), at: offset)
        }
    }

    func close(_ file: Int, _ generation: Int) {
        state.withLock { state in
            guard state.generation == generation else { return }
            state.inodes[file]?.opens -= 1
            if state.inodes[file]?.opens == 0, state.nameless.contains(file) { state.collect() }
        }
    }

    func unlock(_ path: String, _ generation: Int) {
        state.withLock { if $0.generation == generation { $0.locks.remove(path) } }
    }
}

extension VirtualDisk.State {
    mutating func crash(isKill: Bool) {
        generation += 1
        wasKilled = isKill
        locks = []
        for number in inodes.keys { inodes[number]?.opens = 0 }
    }

    /// Writes as many bytes as fit and returns their number.
    mutating func write(_ file: Int, _ bytes: [UInt8], at offset: Int) -> Int {
        guard let length = inodes[file]?.length else { return 0 }
        var count = bytes.count
        if let capacity { count = min(count, max(0, capacity - used) + max(0, length - offset)) }
        inodes[file]?.write(count < bytes.count ? Array(bytes[..<count]) : bytes, at: offset)
        counters.writes += 1
        counters.bytesWritten += count
        used += (inodes[file]?.length ?? 0) - length
        return count
    }

    /// Removes files that have no name and are not open, and counts the bytes of the others.
    mutating func collect() {
        let named = names.numbers
        nameless = []
        for (number, inode) in inodes where !named.contains(number) {
            if inode.opens == 0 { inodes[number] = nil } else { nameless.insert(number) }
        }
        used = inodes.values.reduce(0) { $0 + $1.length }
    }
}

extension SeededGenerator {
    /// Returns a number below `bound`, which is at least 1.
    mutating func below(_ bound: Int) -> UInt64 { next() % UInt64(bound) }
}
