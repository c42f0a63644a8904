import Glibc

/// Keeps a second opener out of a directory for as long as this object lives, also after a crash of the first:
/// the kernel drops the lock with the process.
final class DirectoryLock: Sendable {
    private let file: File

    /// Makes the directory (mode 0700, its parent must exist) if it is missing, and locks it.
    init(_ directory: String) throws(StorageError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw .system(operation: "make directory", path: directory, errno: errno)
        }
        file = try File(directory + "/LOCK", .createIfMissing)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            if errno == EWOULDBLOCK { throw .locked(path: file.path) }
            throw .system(operation: "lock", path: file.path, errno: errno)
        }
    }

    /// Unlocks by name: a child that is just being started holds the same open file until it runs its program.
    deinit { flock(file.descriptor, LOCK_UN) }
}
