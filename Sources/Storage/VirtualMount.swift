import Glibc

/// A virtual disk as one process sees it.
final class VirtualMount: Disk {
    private let disk: VirtualDisk
    private let generation: Int

    init(_ disk: VirtualDisk, _ generation: Int) {
        self.disk = disk
        self.generation = generation
    }

    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any DiskFile {
        let isNew = !exists(path)
        switch mode {
        case .read, .readWrite: if isNew { throw .system(operation: "open", path: path, errno: ENOENT) }
        case .createNew: if !isNew { throw .system(operation: "open", path: path, errno: EEXIST) }
        case .createIfMissing: break
        }
        if isNew { try disk.ask(.create, path, generation, "open") }
        let number = try disk.withNames { state throws(StorageError) in
            if let number = state.names[path] { return number }
            guard state.directories.contains(VirtualDisk.directory(of: path)) else {
                throw .system(operation: "open", path: path, errno: ENOENT)
            }
            let number = state.nextInode
            state.nextInode += 1
            state.inodes[number] = VirtualDisk.Inode()
            state.rename(.link(path, number))
            return number
        }
        return VirtualFile(disk, path, number, generation)
    }

    func exists(_ path: String) -> Bool {
        let isThere = try? disk.withNames { state throws(StorageError) in
            state.names[path] != nil || state.directories.contains(path)
        }
        return isThere ?? false
    }

    func length(of path: String) throws(StorageError) -> Int {
        try disk.withNames { state throws(StorageError) in
            guard let number = state.names[path], let inode = state.inodes[number] else {
                throw .system(operation: "examine", path: path, errno: ENOENT)
            }
            return inode.current.count
        }
    }

    func names(in directory: String) throws(StorageError) -> [String] {
        try disk.withNames { state throws(StorageError) in
            state.names.keys.filter { VirtualDisk.directory(of: $0) == directory }.sorted().map {
                String($0.dropFirst(directory.utf8.count + 1))
            }
        }
    }

    func makeDirectory(_ path: String) throws(StorageError) {
        guard !exists(path) else { return }
        try disk.ask(.makeDirectory, path, generation, "make directory")
        try disk.withNames { state throws(StorageError) in _ = state.directories.insert(path) }
    }

    func rename(_ path: String, to target: String) throws(StorageError) {
        try disk.ask(.rename, target, generation, "replace")
        try disk.withNames { state throws(StorageError) in
            guard let number = state.names[path] else {
                throw .system(operation: "replace", path: target, errno: ENOENT)
            }
            state.rename(.link(target, number))
            state.rename(.unlink(path))
        }
    }

    func remove(_ path: String) throws(StorageError) -> Bool {
        guard exists(path) else { return false }
        try disk.ask(.remove, path, generation, "remove")
        try disk.withNames { state throws(StorageError) in state.rename(.unlink(path)) }
        return true
    }

    func synchronizeDirectory(_ path: String) throws(StorageError) {
        try disk.ask(.synchronizeDirectory, path, generation, "synchronize")
        try disk.withNames { state throws(StorageError) in state.settleNames(path) }
    }

    func lock(_ path: String) throws(StorageError) -> any AnyObject & Sendable {
        let isFree = try disk.withNames { state throws(StorageError) in state.locks.insert(path).inserted }
        guard isFree else { throw .locked(path: path) }
        return VirtualLock(disk, path, generation)
    }

    func map(_ path: String, length: Int) throws(StorageError) -> FileMapping {
        throw .system(operation: "map", path: path, errno: ENODEV)
    }

    func openIndex(_ directory: String) throws(StorageError) -> BlockIndex {
        MemoryIndex(directory: directory)
    }

    var isPersistent: Bool { false }

    func salt() -> UInt64 {
        let salt = try? disk.withNames { state throws(StorageError) in
            state.salts &+= 0x9E37_79B9_7F4A_7C15
            return state.salts
        }
        return salt ?? 0
    }
}

/// An open file of a virtual disk.
final class VirtualFile: DiskFile {
    let path: String
    let inode: Int
    let generation: Int
    private let disk: VirtualDisk

    init(_ disk: VirtualDisk, _ path: String, _ inode: Int, _ generation: Int) {
        self.disk = disk
        self.path = path
        self.inode = inode
        self.generation = generation
    }

    func length() throws(StorageError) -> Int { try disk.read(self) { $0.count } }

    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        try disk.read(self) { bytes in
            Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)])
        }
    }

    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError) {
        var bytes: [UInt8] = []
        for piece in pieces { bytes.append(contentsOf: piece) }
        try disk.ask(.write, path, generation, "write", bytes: bytes.count)
        try disk.write(self, bytes, at: offset)
    }

    func synchronize() throws(StorageError) {
        do throws(StorageError) {
            try disk.ask(.synchronize, path, generation, "synchronize")
        } catch {
            try? disk.synchronize(self, isLost: true)
            throw error
        }
        try disk.synchronize(self, isLost: false)
    }

    func truncate(to length: Int) throws(StorageError) {
        try disk.ask(.truncate, path, generation, "truncate")
        try disk.truncate(self, to: length)
    }
}

/// A lock on a virtual disk, held while it lives and the disk has not crashed.
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
