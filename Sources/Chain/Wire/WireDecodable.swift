import Bytes

/// A value with a binary form (docs/wire.md, sections 3 to 8).
package protocol WireDecodable {
    /// The name of the value in errors.
    static var kind: String { get }
    /// The maximum size of the binary form, in bytes.
    static var decodingLimit: Int { get }

    /// Reads a value.
    init(from reader: inout ByteReader) throws(BytesError)
}

extension WireDecodable {
    /// No limit but the reader's.
    package static var decodingLimit: Int { .max }

    /// Decodes a value that must be the whole of `bytes`. Throws an error that names the kind.
    package init(decoding bytes: SharedBytes) throws(ChainError) {
        guard bytes.count <= Self.decodingLimit else {
            throw .tooLarge(Self.kind, count: bytes.count, limit: Self.decodingLimit)
        }
        do throws(BytesError) {
            try self.init(whole: bytes)
        } catch {
            throw .malformed(Self.kind, error)
        }
    }

    /// Decodes a value that must be the whole of `bytes`, such as a nested field.
    init(whole bytes: SharedBytes) throws(BytesError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
