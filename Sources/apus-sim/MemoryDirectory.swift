import Glibc

/// Where databases go that nobody needs after the run.
enum MemoryDirectory {
    /// In memory where the system has a place for it, else the usual one for temporary files.
    static var path: String { access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp" }
}
