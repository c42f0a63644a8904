import Glibc

/// Small files that are replaced whole: a reader, also one after a crash, sees the old content or the new.
public enum AtomicFile {
    /// Replaces the file at `path` (mode 0600) and returns when that is on the device. The temporary file beside it
    /// is `path` with `.new` appended, so two writers of the same path must take turns.
    public static func write(_ bytes: [UInt8], to path: String) throws(StorageError) {
        let temporary = path + ".new"
        _ = unlink(temporary)
        do throws(StorageError) {
            let file = try File(temporary, .createNew)
            try file.write(bytes, at: 0)
            try file.synchronize()
            guard rename(temporary, path) == 0 else {
                throw .system(operation: "replace", path: path, errno: errno)
            }
        } catch {
            _ = unlink(temporary)
            throw error
        }
        try File.synchronizeDirectory(directory(of: path))
    }

    /// Removes the file, if it is there, and returns when that is on the device.
    public static func remove(_ path: String) throws(StorageError) {
        guard unlink(path) == 0 else {
            if errno == ENOENT { return }
            throw .system(operation: "remove", path: path, errno: errno)
        }
        try File.synchronizeDirectory(directory(of: path))
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
