import Bytes

/// The file system operations that storage needs. `SystemDisk` implements them with the kernel; simulations bring a device
/// that fails as real ones do.
///
/// Names are durable after `synchronizeDirectory`, bytes and lengths after `DiskFile.synchronize`. Safe on any thread;
/// the caller orders writes.
package protocol Disk: AnyObject, Sendable {
    /// Opens a file, which closes when it is released.
    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any DiskFile
    /// Returns whether a file or directory has this name.
    func exists(_ path: String) -> Bool
    /// Returns a file's length in bytes.
    func length(of path: String) throws(StorageError) -> Int
    /// Returns the names in a directory, in no particular order.
    func names(in directory: String) throws(StorageError) -> [String]
    /// Creates a directory, mode 0700, if it is missing; its parent must exist.
    func makeDirectory(_ path: String) throws(StorageError)
    /// Renames the file at `path`, replacing any file at `target`.
    func rename(_ path: String, to target: String) throws(StorageError)
    /// Removes a file; returns false if it does not exist.
    func remove(_ path: String) throws(StorageError) -> Bool
    /// Waits until the names in a directory are durable.
    func synchronizeDirectory(_ path: String) throws(StorageError)
    /// Locks a file, creating it if missing, until the returned object is released. Throws `locked`.
    func lock(_ path: String) throws(StorageError) -> any AnyObject & Sendable
    /// Maps the first `length` bytes of a file for reading, which may exceed its current length. Requires `mapsFiles`.
    func map(_ path: String, length: Int) throws(StorageError) -> FileMapping
    /// Whether files can be mapped, as with the kernel. Otherwise reads copy.
    var mapsFiles: Bool { get }
    /// Returns a number that salts no other file.
    func salt() -> UInt64
}

/// How to open a file.
package enum FileMode: Sendable {
    /// Opens an existing file for reading.
    case read
    /// Opens an existing file for reading and writing.
    case readWrite
    /// Opens a file for reading and writing, creating it with mode 0600 if it is missing.
    case createIfMissing
    /// Creates a file with mode 0600; fails if it exists.
    case createNew
}

/// An open file. Each call completes partial transfers; errors name the file.
package protocol DiskFile: AnyObject, Sendable {
    /// The path that the file was opened with.
    var path: String { get }
    /// Returns the length in bytes.
    func length() throws(StorageError) -> Int
    /// Returns the `count` bytes at `offset`, or fewer at the end of the file.
    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8]
    /// Writes the pieces consecutively from `offset`. After an error, some of the bytes may have been written.
    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError)
    /// Waits until all written bytes and the length are durable.
    func synchronize() throws(StorageError)
    /// Lets the kernel's cache forget durable bytes that nobody will read soon. The last page, to which the next write adds,
    /// stays.
    func forget(_ range: Range<Int>)
    /// Sets the length, cutting the file off or extending it with zeros.
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

/// A file mapped for reading until it is released.
package class FileMapping: @unchecked Sendable {
    let base: UnsafeRawPointer
    let length: Int

    init(base: UnsafeRawPointer, length: Int) {
        self.base = base
        self.length = length
    }

    /// Gives up the memory of the pages read so far. They are still cached by the kernel, and readable, also through slices
    /// handed out before.
    func releasePages() {}
}
