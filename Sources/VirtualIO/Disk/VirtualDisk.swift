import Collections
import Glibc
import Storage
import Synchronization

/// A disk in memory that loses power, fills up and breaks as a real one may, by its seed (docs/storage.md, "Virtual
/// disk").
///
/// Each file has what is on the device and what has been written since it was last synchronized; each directory
/// likewise has names. `powerFail` keeps an arbitrary part of the latter, in pieces of a sector. A process uses the disk
/// through a `mount`, which is dead once the process is. Safe on any thread; repeats if operations come in the same
/// order.
package final class VirtualDisk: Sendable {
    /// An operation that changes the device or makes changes durable.
    package struct Operation: Sendable, Hashable, CustomStringConvertible {
        /// What is done.
        package enum Kind: String, Sendable {
            case create, write, synchronize, truncate, rename, remove, synchronizeDirectory, makeDirectory
        }

        package let kind: Kind
        package let path: String
        /// Bytes written, else 0.
        package let bytes: Int

        package var description: String { "\(kind.rawValue) \(path)\(bytes > 0 ? " \(bytes)" : "")" }
    }

    /// The smallest piece that a device writes whole.
    static let sector = 512
    /// What a kernel writes to its memory whole.
    static let page = 4096

    /// What a disk has done.
    package struct Counters: Sendable, Hashable {
        /// Operations asked for, also those that failed.
        package var operations = 0
        /// Writes, and their bytes.
        package var writes = 0
        package var bytesWritten = 0
        /// Synchronizations of files and directories.
        package var synchronizations = 0
        /// Bytes read.
        package var bytesRead = 0
    }

    struct State {
        var inodes: [Int: VirtualInode] = [:]
        var nextInode = 0
        var names = VirtualNames()
        /// Files without a name that are still open.
        var nameless: Set<Int> = []
        /// Counts crashes: mounts, open files and locks from before the last one are dead.
        var generation = 0
        /// The last crash was a process killed, not the power.
        var wasKilled = false
        var locks: Set<String> = []
        var capacity: Int?
        /// Bytes of all files.
        var used = 0
        var random: SeededGenerator
        var salts: SeededGenerator
        var counters = Counters()
    }

    private let state: Mutex<State>
    private let hook = Mutex<(@Sendable (Operation) -> Int32?)?>(nil)

    /// An empty disk.
    package init(seed: UInt64) {
        state = Mutex(
            State(random: SeededGenerator(seed: seed ^ 0x6469_736B), salts: SeededGenerator(seed: ~seed)))
    }

    /// The disk as one process sees it, until the next crash.
    package func mount() -> any Disk { VirtualMount(self, state.withLock { $0.generation }) }

    // MARK: Faults

    /// Called before each operation, which fails with the `errno` that is returned; what the hook does to the disk,
    /// a crash among it, comes before the operation. Of a write that fails so, and of one in which the process is
    /// killed, a part at the front is done. A file's `synchronize` that fails may have lost what it was to make durable,
    /// as with kernels.
    package func setHook(_ hook: (@Sendable (Operation) -> Int32?)?) { self.hook.withLock { $0 = hook } }

    /// Bytes that fit; nil for any number.
    package func setCapacity(_ capacity: Int?) { state.withLock { $0.capacity = capacity } }

    /// Bytes of all files.
    package var usedBytes: Int { state.withLock { $0.used } }

    /// Operations asked for so far.
    package var operations: Int { counters.operations }

    /// What was done so far.
    package var counters: Counters { state.withLock { $0.counters } }

    /// The power goes: what was not synchronized survives in part or not at all. Mounts, open files and locks are dead.
    package func powerFail() {
        state.withLock { state in
            state.crash(isKill: false)
            state.names.powerFail(&state.random)
            for number in state.inodes.keys.sorted() { state.inodes[number]?.powerFail(&state.random) }
            state.collect()
        }
    }

    /// The process is killed: what it wrote stays. Mounts, open files and locks are dead.
    package func kill() {
        state.withLock { state in
            state.crash(isKill: true)
            for number in state.inodes.keys.sorted() { state.inodes[number]?.forget() }
            state.collect()
        }
    }

    /// Everything is gone.
    package func wipe() {
        state.withLock { state in
            state.crash(isKill: false)
            state.names = VirtualNames()
            state.inodes = [:]
            state.used = 0
        }
    }

    /// Flips one bit, on the device, of a file whose path is accepted; returns where, or nil if there is no such file.
    package func flipBit(where isMeant: (String) -> Bool) -> (path: String, offset: Int)? {
        state.withLock { state in
            let files = state.names.durableFiles.filter {
                isMeant($0.path) && (state.inodes[$0.number]?.durableLength ?? 0) > 0
            }
            guard !files.isEmpty else { return nil }
            // Each byte is as likely as any other.
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

    // MARK: Use

    /// Tells the hook of an operation, and throws what it wants, or that the process is dead.
    func ask(
        _ kind: Operation.Kind, _ path: String, _ generation: Int, _ name: String, bytes: Int = 0
    ) throws(StorageError) {
        state.withLock { $0.counters.operations += 1 }
        let code = hook.withLock { $0 }?(Operation(kind: kind, path: path, bytes: bytes))
        let isDead = state.withLock { $0.generation != generation }
        if let code = isDead ? EIO : code { throw .system(operation: name, path: path, errno: code) }
    }

    /// Runs `body` for a process that must still live.
    func perform<R: Sendable>(
        _ name: String, _ path: String, _ generation: Int,
        _ body: (inout State) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        try state.withLock { state throws(StorageError) in
            guard state.generation == generation else {
                throw .system(operation: name, path: path, errno: EIO)
            }
            return try body(&state)
        }
    }

    /// Does a part of a write that the hook made fail, or killed the process in: it ends between two pages of memory, as
    /// kernels let nothing interrupt them within one.
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

    /// Writes what fits; returns how much that was.
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

    /// Forgets files that have no name and are not open, and counts the bytes of the others.
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
    /// A number below `bound`, which is at least 1.
    mutating func below(_ bound: Int) -> UInt64 { next() % UInt64(bound) }
}
