import Glibc
import Storage

/// A virtual disk as one process sees it.
final class VirtualMount: Disk {
    private let disk: VirtualDisk
    private let generation: Int

    init(_ disk: VirtualDisk, _ generation: Int) {
        self.disk = disk
        self.generation = generation
    }

    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any DiskFile {
        let isNew = try look("open", path) { $0.names.file(path) == nil }
        switch mode {
        case .read, .readWrite: if isNew { throw .system(operation: "open", path: path, errno: ENOENT) }
        case .createNew: if !isNew { throw .system(operation: "open", path: path, errno: EEXIST) }
        case .createIfMissing: break
        }
        if isNew { try disk.ask(.create, path, generation, "open") }
        let number = try look("open", path) { state throws(StorageError) in
            if let number = state.names.file(path) {
                state.inodes[number]?.opens += 1
                return number
            }
            guard state.names.isDirectory(AtomicFile.directory(of: path)) else {
                throw .system(operation: "open", path: path, errno: ENOENT)
            }
            let number = state.nextInode
            state.nextInode += 1
            state.inodes[number] = VirtualInode()
            state.inodes[number]?.opens = 1
            state.names.link(path, number)
            return number
        }
        return VirtualFile(disk, path, number, generation, isWritable: mode != .read)
    }

    func exists(_ path: String) -> Bool {
        let isThere = try? look("examine", path) {
            $0.names.file(path) != nil || $0.names.isDirectory(path)
        }
        return isThere ?? false
    }

    func length(of path: String) throws(StorageError) -> Int {
        try look("examine", path) { state throws(StorageError) in
            guard let number = state.names.file(path), let inode = state.inodes[number] else {
                throw .system(operation: "examine", path: path, errno: ENOENT)
            }
            return inode.length
        }
    }

    func names(in directory: String) throws(StorageError) -> [String] {
        try look("list", directory) { state throws(StorageError) in
            guard state.names.isDirectory(directory) else {
                throw .system(operation: "list", path: directory, errno: ENOENT)
            }
            return state.names.names(in: directory)
        }
    }

    func makeDirectory(_ path: String) throws(StorageError) {
        guard !exists(path) else { return }
        try disk.ask(.makeDirectory, path, generation, "make directory")
        try look("make directory", path) { state throws(StorageError) in
            guard state.names.isDirectory(AtomicFile.directory(of: path)) else {
                throw .system(operation: "make directory", path: path, errno: ENOENT)
            }
            state.names.makeDirectory(path)
        }
    }

    func rename(_ path: String, to target: String) throws(StorageError) {
        try disk.ask(.rename, target, generation, "replace")
        try look("replace", target) { state throws(StorageError) in
            guard let number = state.names.file(path) else {
                throw .system(operation: "replace", path: target, errno: ENOENT)
            }
            guard AtomicFile.directory(of: path) == AtomicFile.directory(of: target) else {
                throw .system(operation: "replace", path: target, errno: EXDEV)
            }
            state.names.rename(path, to: target, number)
            state.collect()
        }
    }

    func remove(_ path: String) throws(StorageError) -> Bool {
        guard try look("remove", path, { $0.names.file(path) != nil }) else { return false }
        try disk.ask(.remove, path, generation, "remove")
        try look("remove", path) { state throws(StorageError) in
            state.names.unlink(path)
            state.collect()
        }
        return true
    }

    func synchronizeDirectory(_ path: String) throws(StorageError) {
        try disk.ask(.synchronizeDirectory, path, generation, "synchronize")
        try look("synchronize", path) { state throws(StorageError) in
            guard state.names.isDirectory(path) else {
                throw .system(operation: "open", path: path, errno: ENOENT)
            }
            state.counters.synchronizations += 1
            state.names.synchronize(path)
            state.collect()
        }
    }

    func lock(_ path: String) throws(StorageError) -> any AnyObject & Sendable {
        let file = try open(path, .createIfMissing)
        let isFree = try look("lock", path) { $0.locks.insert(path).inserted }
        guard isFree else { throw .locked(path: file.path) }
        return VirtualLock(disk, path, generation)
    }

    func map(_ path: String, length: Int) throws(StorageError) -> FileMapping {
        throw .system(operation: "map", path: path, errno: ENODEV)
    }

    var mapsFiles: Bool { false }

    func salt() -> UInt64 {
        let salt = try? look("examine", "") { $0.salts.next() }
        return salt ?? 0
    }

    private func look<R: Sendable>(
        _ name: String, _ path: String, _ body: (inout VirtualDisk.State) throws(StorageError) -> R
    ) throws(StorageError) -> R { try disk.perform(name, path, generation, body) }
}

/// An open file of a virtual disk.
private final class VirtualFile: DiskFile {
    let path: String
    private let disk: VirtualDisk
    private let number: Int
    private let generation: Int
    private let isWritable: Bool

    init(_ disk: VirtualDisk, _ path: String, _ number: Int, _ generation: Int, isWritable: Bool) {
        self.disk = disk
        self.path = path
        self.number = number
        self.generation = generation
        self.isWritable = isWritable
    }

    deinit { disk.close(number, generation) }

    func length() throws(StorageError) -> Int {
        try disk.perform("examine", path, generation) { $0.inodes[number]?.length ?? 0 }
    }

    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        try disk.perform("read", path, generation) { state in
            let bytes = state.inodes[number]?.read(at: offset, count: count) ?? []
            state.counters.bytesRead += bytes.count
            return bytes
        }
    }

    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
        for piece in pieces { bytes.append(contentsOf: piece) }
        guard isWritable else { throw .system(operation: "write", path: path, errno: EBADF) }
        do throws(StorageError) {
            try disk.ask(.write, path, generation, "write", bytes: bytes.count)
        } catch {
            disk.tear(number, bytes, at: offset, generation)
            throw error
        }
        let written = try disk.perform("write", path, generation) { $0.write(number, bytes, at: offset) }
        if written < bytes.count { throw .system(operation: "write", path: path, errno: ENOSPC) }
    }

    func synchronize() throws(StorageError) {
        do throws(StorageError) {
            try disk.ask(.synchronize, path, generation, "synchronize")
        } catch {
            try? disk.perform("synchronize", path, generation) { state in
                state.inodes[number]?.failSynchronize(&state.random)
                state.collect()
            }
            throw error
        }
        try disk.perform("synchronize", path, generation) { state in
            state.counters.synchronizations += 1
            state.inodes[number]?.synchronize()
        }
    }

    /// Does nothing: the virtual disk has no cache that could be full.
    func forget(_ range: Range<Int>) {}

    func truncate(to length: Int) throws(StorageError) {
        guard isWritable else { throw .system(operation: "truncate", path: path, errno: EINVAL) }
        try disk.ask(.truncate, path, generation, "truncate")
        try disk.perform("truncate", path, generation) { state in
            let before = state.inodes[number]?.length ?? 0
            state.inodes[number]?.truncate(to: length)
            state.used += length - before
        }
    }
}

/// A lock on a virtual disk, held until it is released or the disk crashes.
private final class VirtualLock: Sendable {
    private let disk: VirtualDisk
    private let path: String
    private let generation: Int

    init(_ disk: VirtualDisk, _ path: String, _ generation: Int) {
        self.disk = disk
        self.path = path
        self.generation = generation
    }

    deinit { disk.unlock(path, generation) }
}
