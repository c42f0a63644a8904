import Glibc

/// The directory for databases that are not needed after the run.
enum MemoryDirectory {
    /// A directory in memory if the system has one, otherwise that of temporary files.
    static var path: String { access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp" }
}
