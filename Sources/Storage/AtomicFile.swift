/// Small files that are replaced whole: a reader, also one after a crash, sees the old content or the new.
package enum AtomicFile {
    /// Replaces the file at `path` (mode 0600) and returns when that is on the device. The temporary file beside it
    /// is `path` with `.new` appended, so two writers of the same path must take turns.
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

    /// Removes the file, if it is there, and returns when that is on the device.
    package static func remove(_ path: String, disk: any Disk) throws(StorageError) {
        if try disk.remove(path) { try disk.synchronizeDirectory(directory(of: path)) }
    }

    /// The directory that holds a path's name.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
