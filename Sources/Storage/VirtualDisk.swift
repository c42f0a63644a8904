import Glibc
import Synchronization

/// A disk in memory that loses power, fills up and breaks as a real one may, by its seed (docs/storage.md, "Virtual
/// disk").
///
/// Each file has what is on the device and what has been written since it was last synchronized; each directory
/// likewise has names. `powerFail` keeps an arbitrary part of the latter, in pieces of a sector. A process uses the disk
/// through a `mount`, which is dead once the process is. Safe on any thread.
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

    enum Change {
        case write(offset: Int, [UInt8])
        case truncate(Int)
    }

    enum NameChange {
        case link(String, Int)
        case unlink(String)
    }

    struct Inode {
        /// What the processes see.
        var current: [UInt8] = []
        /// What is on the device.
        var durable: [UInt8] = []
        /// From `durable` to `current`.
        var changes: [Change] = []
    }

    struct State {
        var inodes: [Int: Inode] = [:]
        var nextInode = 0
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        /// By directory, in order.
        var nameChanges: [String: [NameChange]] = [:]
        var directories: Set<String> = []
        /// Counts crashes: files opened before the last one are dead.
        var generation = 0
        var locks: Set<String> = []
        var capacity: Int?
        var random: UInt64
        var salts: UInt64
        var operations = 0
    }

    private let state: Mutex<State>
    private let hook = Mutex<(@Sendable (Operation) -> Int32?)?>(nil)

    /// An empty disk.
    package init(seed: UInt64) {
        state = Mutex(State(random: seed ^ 0x6469_736B_7365_6564, salts: seed))
    }

    // MARK: Faults

    /// Called before each operation, which fails with the `errno` that is returned; the caller's changes to the disk,
    /// a crash among them, come before the operation. A `synchronize` that fails loses what it was to make durable,
    /// as kernels do.
    package func setHook(_ hook: (@Sendable (Operation) -> Int32?)?) { self.hook.withLock { $0 = hook } }

    /// Bytes that fit; nil for any number.
    package func setCapacity(_ capacity: Int?) { state.withLock { $0.capacity = capacity } }

    /// Bytes of all files.
    package var usedBytes: Int { state.withLock { $0.used } }

    /// Operations done so far.
    package var operations: Int { state.withLock { $0.operations } }

    /// The power goes: what was not synchronized survives in part or not at all. Open files and locks are gone.
    package func powerFail() { state.withLock { $0.powerFail() } }

    /// The process is killed: what it wrote stays. Open files and locks are gone.
    package func kill() { state.withLock { $0.close() } }

    /// Everything is gone.
    package func wipe() {
        state.withLock { state in
            state.close()
            state.inodes = [:]
            state.names = [:]
            state.durableNames = [:]
            state.nameChanges = [:]
            state.directories = []
        }
    }

    /// Flips one bit of a file whose path is accepted; returns where, or nil if there is no such file.
    package func flipBit(where isMeant: (String) -> Bool) -> (path: String, offset: Int)? {
        state.withLock { state in
            let paths = state.durableNames.keys.filter { isMeant($0) && state.durableSize($0) > 0 }.sorted()
            guard !paths.isEmpty else { return nil }
            let path = paths[Int(state.next() % UInt64(paths.count))]
            guard let number = state.durableNames[path], var inode = state.inodes[number] else { return nil }
            let offset = Int(state.next() % UInt64(inode.durable.count))
            let bit = UInt8(1) << UInt8(state.next() % 8)
            inode.durable[offset] ^= bit
            if offset < inode.current.count { inode.current[offset] ^= bit }
            state.inodes[number] = inode
            return (path, offset)
        }
    }

    // MARK: Use

    /// The disk as one process sees it, until the next crash.
    package func mount() -> any Disk { VirtualMount(self, state.withLock { $0.generation }) }

    /// Tells the hook of an operation, and throws what it wants, or that the process is dead.
    func ask(
        _ kind: Operation.Kind, _ path: String, _ generation: Int, _ name: String, bytes: Int = 0
    ) throws(StorageError) {
        state.withLock { $0.operations += 1 }
        let code = hook.withLock { $0 }?(Operation(kind: kind, path: path, bytes: bytes))
        let isDead = state.withLock { $0.generation != generation }
        if let code = isDead ? EIO : code { throw .system(operation: name, path: path, errno: code) }
    }

    func withNames<R: Sendable>(
        _ body: (inout State) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        try state.withLock { state throws(StorageError) in try body(&state) }
    }

    func unlock(_ path: String, _ generation: Int) {
        state.withLock { if $0.generation == generation { $0.locks.remove(path) } }
    }

    static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    func write(_ file: VirtualFile, _ bytes: [UInt8], at offset: Int) throws(StorageError) {
        let isFull =
            try state.withLock { state throws(StorageError) in
                guard state.generation == file.generation,
                    let length = state.inodes[file.inode]?.current.count
                else { throw .system(operation: "write", path: file.path, errno: EIO) }
                var bytes = bytes
                if let capacity = state.capacity {
                    let room = max(0, capacity - state.used) + max(0, length - offset)
                    if bytes.count > room { bytes.removeLast(bytes.count - room) }
                }
                state.change(file.inode, .write(offset: offset, bytes))
                return bytes.count
            } < bytes.count
        if isFull { throw .system(operation: "write", path: file.path, errno: ENOSPC) }
    }

    func truncate(_ file: VirtualFile, to length: Int) throws(StorageError) {
        try state.withLock { state throws(StorageError) in
            guard state.generation == file.generation else {
                throw .system(operation: "truncate", path: file.path, errno: EIO)
            }
            state.change(file.inode, .truncate(length))
        }
    }

    func synchronize(_ file: VirtualFile, isLost: Bool) throws(StorageError) {
        try state.withLock { state throws(StorageError) in
            guard state.generation == file.generation else {
                throw .system(operation: "synchronize", path: file.path, errno: EIO)
            }
            state.settle(file.inode, isLost: isLost)
        }
    }

    func read<R: Sendable>(
        _ file: VirtualFile, _ body: ([UInt8]) -> R
    ) throws(StorageError) -> R {
        try state.withLock { state throws(StorageError) in
            guard state.generation == file.generation, let inode = state.inodes[file.inode] else {
                throw .system(operation: "read", path: file.path, errno: EIO)
            }
            return body(inode.current)
        }
    }
}

extension VirtualDisk.State {
    var used: Int { inodes.values.reduce(0) { $0 + $1.current.count } }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        random &+= 0x9E37_79B9_7F4A_7C15
        var z = random
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    func durableSize(_ path: String) -> Int {
        durableNames[path].flatMap { inodes[$0]?.durable.count } ?? 0
    }

    mutating func rename(_ change: VirtualDisk.NameChange) {
        let changed: String
        switch change {
        case .link(let path, let number): (changed, names[path]) = (path, number)
        case .unlink(let path): (changed, names[path]) = (path, nil)
        }
        nameChanges[VirtualDisk.directory(of: changed), default: []].append(change)
        collect()
    }

    mutating func settleNames(_ directory: String) {
        for change in nameChanges.removeValue(forKey: directory) ?? [] { apply(change) }
        collect()
    }

    private mutating func apply(_ change: VirtualDisk.NameChange) {
        switch change {
        case .link(let path, let number): durableNames[path] = number
        case .unlink(let path): durableNames[path] = nil
        }
    }

    /// Forgets files without a name.
    private mutating func collect() {
        guard inodes.count > names.count + 8 else { return }
        var used = Set(names.values).union(durableNames.values)
        for change in nameChanges.values.joined() {
            if case .link(_, let number) = change { used.insert(number) }
        }
        for number in inodes.keys where !used.contains(number) { inodes[number] = nil }
    }

    mutating func change(_ number: Int, _ change: VirtualDisk.Change) {
        inodes[number]?.changes.append(change)
        VirtualDisk.apply(change, to: &inodes[number, default: .init()].current)
    }

    mutating func settle(_ number: Int, isLost: Bool) {
        guard var inode = inodes.removeValue(forKey: number) else { return }
        if !isLost { for change in inode.changes { VirtualDisk.apply(change, to: &inode.durable) } }
        inode.changes = []
        inodes[number] = inode
    }

    mutating func close() {
        generation += 1
        locks = []
    }

    mutating func powerFail() {
        close()
        for directory in nameChanges.keys.sorted() {
            let changes = nameChanges[directory] ?? []
            for change in changes.prefix(Int(next() % UInt64(changes.count + 1))) { apply(change) }
        }
        nameChanges = [:]
        names = durableNames
        for number in inodes.keys.sorted() {
            guard var inode = inodes.removeValue(forKey: number) else { continue }
            // All, nothing, or a part of what was on its way.
            let share = [0, 100, next() % 100][Int(next() % 3)]
            for change in inode.changes { survive(change, share, &inode.durable) }
            inode.changes = []
            inode.current = inode.durable
            inodes[number] = inode
        }
        collect()
    }

    /// Applies those sectors of a change that came through, each with a chance of `share` in 100.
    private mutating func survive(_ change: VirtualDisk.Change, _ share: UInt64, _ durable: inout [UInt8]) {
        switch change {
        case .truncate: if next() % 100 < share { VirtualDisk.apply(change, to: &durable) }
        case .write(let offset, let bytes):
            // The length may come through without the bytes.
            let length = offset + bytes.count
            if durable.count < length, next() % 100 < share {
                durable.append(contentsOf: repeatElement(0, count: length - durable.count))
            }
            var start = 0
            while start < bytes.count {
                let end = min(
                    bytes.count, ((offset + start) / VirtualDisk.sector + 1) * VirtualDisk.sector - offset)
                if next() % 100 < share {
                    VirtualDisk.apply(.write(offset: offset + start, Array(bytes[start..<end])), to: &durable)
                }
                start = end
            }
        }
    }
}

extension VirtualDisk {
    static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .truncate(let length):
            if length < bytes.count {
                bytes.removeLast(bytes.count - length)
            } else {
                bytes.append(contentsOf: repeatElement(0, count: length - bytes.count))
            }
        case .write(let offset, let new):
            if offset == bytes.count { return bytes.append(contentsOf: new) }
            if bytes.count < offset + new.count {
                bytes.append(contentsOf: repeatElement(0, count: offset + new.count - bytes.count))
            }
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        }
    }
}
