import Bytes
import Chain
import Glibc

/// Writes answers to the node's socket in pieces. The process exits if the node is gone.
struct QueryFrameWriter: QueryOutput {
    private let socket: Int32
    private var bytes = ByteWriter()
    private var values = ByteWriter()

    init(socket: Int32) { self.socket = socket }

    mutating func ready(_ note: String) {
        put(.ready) { $0.put(string32: note) }
        flush()
    }

    mutating func failed(_ error: ExecutionError) {
        values = ByteWriter()
        put(.failed) {
            $0.put(u8: QueryFrame.Failure(error).rawValue)
            $0.put(string32: QueryFrame.Failure.text(error))
        }
        flush()
    }

    mutating func begin(_ names: [String]) {
        put(.columns) { $0.put(u16: UInt16(clamping: names.count)) }
        for name in names { add(.text(name)) }
    }

    mutating func add(_ value: Value) {
        values.put(cell: value)
        guard values.bytes.count >= QueryFrame.pieceBytes else { return }
        putValues()
        flush()
    }

    mutating func end(_ types: [DataType.Name]) {
        putValues()
        put(.end) { body in
            for type in types { body.put(u8: UInt8(clamping: QueryFrame.types.firstIndex(of: type) ?? 0)) }
        }
        flush()
    }

    private mutating func putValues() {
        if values.bytes.isEmpty { return }
        let piece = values
        values = ByteWriter()
        put(.values) { $0.put(bytes: piece.bytes) }
    }

    private mutating func put(_ kind: QueryFrame.Kind, _ write: (inout ByteWriter) -> Void) {
        var body = ByteWriter()
        body.put(u8: kind.rawValue)
        write(&body)
        bytes.put(bytes32: body.bytes)
    }

    private mutating func flush() {
        let frames = bytes.bytes
        bytes = ByteWriter()
        var sent = 0
        while sent < frames.count {
            let count = frames.withUnsafeBytes {
                write(socket, $0.baseAddress.map { $0 + sent }, frames.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { _exit(0) }
            sent += count
        }
    }
}
