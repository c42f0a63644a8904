import Bytes
import Chain

/// Decodes the answer to a query from the bytes that its process sends. The process is not trusted: invalid bytes cause
/// an error, and the answer never holds more than the query's limits allow.
public struct QueryAnswer {
    private enum Stage {
        case beginning, names(left: Int), rows, over
    }

    private let file: String
    private var stage = Stage.beginning
    private var expectsReady: Bool
    private var buffer: [UInt8] = []
    private var tally: QueryTally
    private var names: [String] = []
    private var columns = 0
    private var builder = QueryResultBuilder()

    /// The note in the process's ready frame: the protection that its kernel lacks, or an empty text.
    public private(set) var note: String?
    /// The answer, once it is complete.
    public private(set) var outcome: Result<QueryResult, ExecutionError>?

    /// Creates an answer about the database `file`; `isFirst` means that the process must report first that it is
    /// ready.
    public init(_ limits: QueryLimits, file: String, isFirst: Bool) {
        tally = QueryTally(limits)
        self.file = file
        expectsReady = isFirst
    }

    /// Decodes the next bytes. After an error the process can no longer be used.
    public mutating func take(_ bytes: UnsafeRawBufferPointer) throws(ExecutionError) {
        buffer.append(contentsOf: bytes)
        var used = 0
        defer { buffer.removeFirst(used) }
        do throws(BytesError) {
            while let frame = try frame(at: used) {
                used += QueryFrame.headerBytes + frame.count
                try take(frame)
            }
        } catch {
            throw .queryProcess("the query process sent invalid data: \(error)")
        }
    }

    /// Returns the frame at a position, without its length; nil if it is incomplete.
    private func frame(at start: Int) throws(BytesError) -> SharedBytes? {
        guard buffer.count - start >= QueryFrame.headerBytes else { return nil }
        let count = buffer.withUnsafeBytes {
            Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        }
        guard count <= QueryFrame.answerBytes else { throw .tooLarge(count, limit: QueryFrame.answerBytes) }
        let end = start + QueryFrame.headerBytes + count
        guard end <= buffer.count else { return nil }
        return SharedBytes(Array(buffer[(start + QueryFrame.headerBytes)..<end]))
    }

    private mutating func take(_ frame: SharedBytes) throws(BytesError) {
        var reader = ByteReader(frame)
        guard let kind = QueryFrame.Kind(rawValue: try reader.u8()) else { throw .invalid("a kind of frame") }
        switch (kind, stage) {
        case (.ready, .beginning) where expectsReady:
            expectsReady = false
            note = try reader.string32()
        case (.columns, .beginning) where !expectsReady:
            columns = Int(try reader.u16())
            guard columns > 0, columns <= CostModel.columns.value else {
                throw .invalid("a number of columns")
            }
            stage = .names(left: columns)
        case (.values, .names), (.values, .rows):
            while reader.remaining > 0 { try take(try reader.cell()) }
        case (.end, .rows):
            try end(&reader)
        case (.failed, .beginning), (.failed, .names), (.failed, .rows):
            guard let failure = QueryFrame.Failure(rawValue: try reader.u8()) else {
                throw .invalid("a failure")
            }
            finish(.failure(failure.error(try reader.string32(), file: file)))
        default: throw .invalid("a frame that belongs here")
        }
        try reader.finish()
    }

    private mutating func take(_ value: Value) throws(BytesError) {
        do throws(ExecutionError) {
            if case .names = stage {} else if builder.isAtRow { try tally.add(row: columns, bytes: 0) }
            try tally.add(value)
        } catch {
            throw .invalid("a result within its limits")
        }
        guard case .names(let left) = stage else { return builder.add(value) }
        guard case .text(let name) = value.scalar else { throw .invalid("a column's name") }
        names.append(name)
        stage = left > 1 ? .names(left: left - 1) : .rows
        if left == 1 { builder.begin(names) }
    }

    private mutating func end(_ reader: inout ByteReader) throws(BytesError) {
        guard builder.isAtRow else { throw .invalid("a whole row") }
        var types: [DataType.Name] = []
        for _ in 0..<columns {
            let number = Int(try reader.u8())
            guard number < QueryFrame.types.count else { throw .invalid("a type") }
            types.append(QueryFrame.types[number])
        }
        builder.end(types)
        guard let result = builder.result else { return }
        finish(.success(result))
    }

    private mutating func finish(_ outcome: Result<QueryResult, ExecutionError>) {
        stage = .over
        builder = QueryResultBuilder()
        self.outcome = outcome
    }
}
