import Bytes
import CShims

/// SHA-256 of bytes that arrive in pieces. `Hash.sha256(of:)` is faster for contiguous bytes.
public struct SHA256: ~Copyable {
    private let context: OpaquePointer

    /// Starts a digest.
    public init() {
        guard let context = apus_sha256_new() else { preconditionFailure("out of memory") }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Adds bytes.
    public mutating func update(_ source: some ByteSource) {
        let done = source.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(done == 1)
    }

    /// Returns the digest of all bytes added.
    public consuming func finalize() -> Hash {
        Hash { EVP_DigestFinal_ex(context, $0.bindMemory(to: UInt8.self).baseAddress, nil) }
    }
}
