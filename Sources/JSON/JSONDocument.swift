import Bytes
import CShims
import Glibc

/// A parsed JSON text (RFC 8259), kept as simdjson's tape, over which `JSONValue` is a cursor.
///
/// Parsing is strict: the text must be UTF-8, no object may repeat a name (compared by bytes), integers are
/// exact over all of `Int64` and `UInt64`, other numbers are doubles, and nesting is bounded. Immutable,
/// hence safe to use from any thread. A document holds a copy of the text's strings and 8 to 16 bytes per
/// value; the caller bounds the text.
public final class JSONDocument: @unchecked Sendable {
    /// The tape, from the root's word up to `texts`.
    let tape: UnsafePointer<UInt64>
    /// The strings, each as a four-byte length, the bytes and a zero.
    let texts: UnsafePointer<UInt8>

    private let memory: UnsafeMutableRawPointer
    private let size: Int
    private let isSecret: Bool

    /// Parses `source`, nested no deeper than `depth`; the node's own formats need 8. A secret document is wiped
    /// from memory when it is destroyed.
    public init(_ source: some ByteSource, depth: Int = 64, isSecret: Bool = false) throws(JSONError) {
        let copied = source.withUnsafeBytes { bytes in
            Result { () throws(JSONError) in
                try Self.read(bytes, depth: max(depth, 1), isSecret: isSecret)
            }
        }
        let copy = try copied.get()
        memory = copy.memory
        size = copy.tapeSize + copy.textsSize
        self.isSecret = isSecret
        tape = UnsafePointer(copy.memory.assumingMemoryBound(to: UInt64.self))
        texts = UnsafePointer((copy.memory + copy.tapeSize).assumingMemoryBound(to: UInt8.self))
    }

    deinit {
        if isSecret { explicit_bzero(memory, size) }
        memory.deallocate()
    }

    /// The document's outermost value.
    public var root: JSONValue { JSONValue(document: self, index: 1) }

    /// The tape, followed by the strings.
    private struct Copy {
        let memory: UnsafeMutableRawPointer
        let tapeSize: Int
        let textsSize: Int
    }

    /// Parses with the thread's parser and copies the result.
    private static func read(
        _ bytes: UnsafeRawBufferPointer, depth: Int, isSecret: Bool
    ) throws(JSONError) -> Copy {
        var parsed = apus_json()
        let code = apus_json_parse(bytes.baseAddress, bytes.count, depth, &parsed)
        defer { apus_json_done(isSecret) }
        guard code == apus_json_ok, let tape = parsed.tape, let texts = parsed.texts else {
            switch code {
            case apus_json_too_large: throw JSONError(.tooLarge)
            case apus_json_no_memory: throw JSONError(.outOfMemory)
            default: throw JSONSyntax.error(in: bytes, depth: depth)
            }
        }
        let extent = JSONTape.extent(tape, texts)
        if let duplicate = extent.duplicate { throw JSONTape.error(duplicate, tape, texts, in: bytes) }
        let tapeSize = extent.words * MemoryLayout<UInt64>.stride
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: tapeSize + extent.textsSize, alignment: MemoryLayout<UInt64>.alignment)
        memory.copyMemory(from: tape, byteCount: tapeSize)
        (memory + tapeSize).copyMemory(from: texts, byteCount: extent.textsSize)
        return Copy(memory: memory, tapeSize: tapeSize, textsSize: extent.textsSize)
    }
}
