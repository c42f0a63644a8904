/// Small files that are replaced as a whole: a reader sees the old content or the new, even after a crash.
package enum AtomicFile {
    /// Returns the file's content, up to `limit` bytes; nil if the file is missing.
    static func read(_ path: String, limit: Int, disk: any Disk) throws(StorageError) -> [UInt8]? {
        guard disk.exists(path) else { return nil }
        return try disk.open(path, .read).read(at: 0, count: limit)
    }

    /// Replaces the file at `path` (mode 0600) and returns once the change is durable. The temporary file is `path`
    /// with `.new` appended, so the caller must serialize writes of the same path.
    package static func write(_ bytes: [UInt8], to path: String, disk: any Disk) throws(StorageError) {
        let temporary = path + ".new"
        _ = try disk.remove(temporary)
        do throws(StorageError) {
            let file = try disk.open(temporary, .createNew)
            try file.write(bytes, at: 0)
            try file.synchronize()
            try disk.rename(temporary, to: path)
        } catch {
            _ = try? disk.remove(temporary)
            throw error
        }
        try disk.synchronizeDirectory(directory(of: path))
    }

    /// Removes the file, if it exists, and returns once the removal is durable.
    package static func remove(_ path: String, disk: any Disk) throws(StorageError) {
        if try disk.remove(path) { try disk.synchronizeDirectory(directory(of: path)) }
    }

    /// Returns the parent directory of a path.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
