import Bytes

/// What the storage layer asks of an operating system: files, names in directories, and when both are on the device.
/// `SystemDisk` is the kernel; simulations bring a device that fails as real ones do.
///
/// Names are durable after `synchronizeDirectory`, bytes and lengths after `DiskFile.synchronize`. Safe on any thread;
/// the caller orders writes.
package protocol Disk: AnyObject, Sendable {
    /// Opens a file; it is closed when released.
    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any DiskFile
    /// Whether there is a file or directory of this name.
    func exists(_ path: String) -> Bool
    /// A file's length in bytes.
    func length(of path: String) throws(StorageError) -> Int
    /// Names in a directory, in no order.
    func names(in directory: String) throws(StorageError) -> [String]
    /// Makes a directory, mode 0700, if it is missing; its parent must exist.
    func makeDirectory(_ path: String) throws(StorageError)
    /// Puts the file at `path` in the place of the one at `target`.
    func rename(_ path: String, to target: String) throws(StorageError)
    /// Removes a file; false if it is not there.
    func remove(_ path: String) throws(StorageError) -> Bool
    /// Returns when the names in a directory are on the device.
    func synchronizeDirectory(_ path: String) throws(StorageError)
    /// Locks a file, which is made if missing, for as long as what is returned lives. Throws `locked`.
    func lock(_ path: String) throws(StorageError) -> any AnyObject & Sendable
    /// Maps so many bytes of a file for reading, also beyond its present end. Only a disk with `isPersistent`.
    func map(_ path: String, length: Int) throws(StorageError) -> FileMapping
    /// Opens the block index in a directory, and makes it if it is missing.
    func openIndex(_ directory: String) throws(StorageError) -> BlockIndex
    /// Whether this is the kernel's: files can be mapped, and the index outlives the process. Else bytes are copied, and
    /// the index is made again from the log at each start.
    var isPersistent: Bool { get }
    /// A number that no other file has been salted with.
    func salt() -> UInt64
}

/// How a file is opened.
package enum FileMode: Sendable {
    /// Must exist.
    case read
    /// Must exist.
    case readWrite
    /// Made if missing, mode 0600.
    case createIfMissing
    /// Must not exist, mode 0600.
    case createNew
}

/// An open file. Every call finishes partial transfers and throws a `StorageError` that names the file.
package protocol DiskFile: AnyObject, Sendable {
    /// The name it was opened by.
    var path: String { get }
    /// Length in bytes.
    func length() throws(StorageError) -> Int
    /// The `count` bytes at `offset`; fewer at the end of the file.
    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8]
    /// Writes the pieces one after another from `offset`. On an error some of them may have been written.
    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError)
    /// Waits until what was written, and the length, are on the device.
    func synchronize() throws(StorageError)
    /// Cuts the file off, or lengthens it with zeros.
    func truncate(to length: Int) throws(StorageError)
}

extension DiskFile {
    /// Writes an array at `offset`.
    package func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try write([UnsafeRawBufferPointer(bytes)], at: offset)
        }
    }
}

/// A file mapped for reading, until released.
package class FileMapping: @unchecked Sendable {
    let base: UnsafeRawPointer
    let length: Int

    init(base: UnsafeRawPointer, length: Int) {
        self.base = base
        self.length = length
    }
}
