import CShims

/// Bytes from the operating system's random source.
public enum SecureRandom {
    /// Returns `count` random bytes.
    public static func bytes(_ count: Int) -> [UInt8] {
        Sodium.start()
        var bytes = [UInt8](repeating: 0, count: count)
        randombytes_buf(&bytes, count)
        return bytes
    }
}

/// libsodium, which must be initialized before any other call.
enum Sodium {
    private static let status = sodium_init()

    /// Initializes the library; cheap after the first call.
    static func start() { precondition(status >= 0, "libsodium cannot be initialized") }
}
