import Bytes
import Chain
import Collections
import TestSupport
import Testing

@testable import Execution

/// The protocol between a node and its query processes.
@Suite struct QueryMessageTests {
    /// Returns the frames that a process writes; `written` gets the socket.
    private func frames(_ write: (inout QueryFrameWriter) -> Void) throws -> [UInt8] {
        let sockets = try SocketPair()
        var writer = QueryFrameWriter(socket: sockets.first)
        write(&writer)
        sockets.closeFirst()
        return sockets.readAll()
    }

    private func answer(
        _ bytes: [UInt8], isFirst: Bool = false, limits: QueryLimits = QueryLimits(), piece: Int = .max
    ) throws(ExecutionError) -> QueryAnswer {
        var answer = QueryAnswer(limits, file: "database", isFirst: isFirst)
        var rest = bytes[...]
        while !rest.isEmpty {
            let next = Array(rest.prefix(piece))
            rest = rest.dropFirst(next.count)
            let outcome: Result<Void, ExecutionError> = next.withUnsafeBytes { bytes in
                do throws(ExecutionError) { return .success(try answer.take(bytes)) } catch {
                    return .failure(error)
                }
            }
            try outcome.get()
        }
        return answer
    }

    private func value(_ random: inout SeededGenerator) throws -> Value {
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return .null
        case 1:
            return .text(
                String(
                    (0..<Int.random(in: 0..<20, using: &random)).map { _ in
                        "aé日\u{0}e\u{301}".randomElement(using: &random) ?? "x"
                    }))
        case 2: return .int8(.random(in: .min ... .max, using: &random))
        case 3:
            return .bytea(
                (0..<Int.random(in: 0..<40, using: &random)).map { _ in .random(in: 0...255, using: &random) }
            )
        case 4: return .bool(.random(using: &random))
        case 5: return try #require(.uuid((0..<16).map { _ in .random(in: 0...255, using: &random) }))
        default:
            return try #require(
                .numeric("-\(UInt64.random(in: 0 ... .max, using: &random)).5e3", precision: 21, scale: 1))
        }
    }

    @Test(arguments: 0..<40) func answersComeBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let names = (0..<Int.random(in: 1...5, using: &random)).map { "column \($0) é" }
        var rows: [[Value]] = []
        for _ in 0..<Int.random(in: 0..<50, using: &random) {
            rows.append(try names.map { _ in try value(&random) })
        }
        let types = names.map { _ in QueryFrame.types.randomElement(using: &random) ?? .text }
        let bytes = try frames { writer in
            writer.ready("a note")
            writer.begin(names)
            for value in rows.joined() { writer.add(value) }
            writer.end(types)
        }
        let answer = try answer(bytes, isFirst: true, piece: Int.random(in: 1...100, using: &random))
        #expect(answer.note == "a note")
        let expected = QueryResult(columnNames: names, columnTypes: types.map { DataType($0) }, rows: rows)
        #expect(try answer.outcome?.get() == expected)
        // A truncated answer is not an answer.
        let cut = try self.answer(Array(bytes.dropLast()), isFirst: true)
        #expect(cut.outcome == nil)
    }

    /// Whatever a process sends, the node neither crashes nor holds more than the limits allow.
    @Test(arguments: 0..<200) func changedBytesDoNoHarm(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes = try frames { writer in
            writer.begin(["a", "b"])
            for number in 0..<20 {
                writer.add(.int8(Int64(number)))
                writer.add(.text("text \(number)"))
            }
            writer.end([.int8, .text])
        }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
        }
        guard let answer = try? answer(bytes, piece: 7), case .success(let result) = answer.outcome else {
            return
        }
        #expect(result.columnNames.count == result.columnTypes.count)
        #expect(result.rows.allSatisfy { $0.count == result.columnNames.count })
    }

    @Test(arguments: [
        [255, 255, 255, 255, 4],  // a frame of 4 GiB
        [0, 0, 0, 0],  // a frame without a kind
        [1, 0, 0, 0, 9],  // of no kind
        [1, 0, 0, 0, 5],  // the end before the beginning
        [1, 0, 0, 0, 4],  // values before columns
        [3, 0, 0, 0, 3, 0, 0],  // no columns
        [3, 0, 0, 0, 3, 255, 255],  // too many
        [4, 0, 0, 0, 3, 1, 0, 0],  // bytes behind them
        [5, 0, 0, 0, 2, 0, 0, 0, 0],  // ready, and not asked
        [3, 0, 0, 0, 3, 1, 0, 2, 0, 0, 0, 4, 0],  // a column's name is no text
        [3, 0, 0, 0, 3, 1, 0, 6, 0, 0, 0, 4, 1, 255, 255, 255, 255],  // a name of 4 GiB
        [6, 0, 0, 0, 6, 99, 0, 0, 0, 0],  // an unknown failure
    ]) func nonsenseIsRefused(_ bytes: [UInt8]) {
        #expect(throws: ExecutionError.self) { try answer(bytes) }
    }

    @Test func nothingFollowsAnAnswer() throws {
        let whole = try frames { writer in
            writer.begin(["a"])
            writer.end([.text])
        }
        #expect(throws: ExecutionError.self) { try answer(whole + [1, 0, 0, 0, 5]) }
        #expect(throws: ExecutionError.self) { try answer(whole, isFirst: true) }
    }

    /// Both the process and the node check the limits.
    @Test func limitsHoldForTheProcess() throws {
        let bytes = try frames { writer in
            writer.begin(["a"])
            for _ in 0..<10 { writer.add(.text("0123456789")) }
            writer.end([.text])
        }
        #expect(try answer(bytes, limits: QueryLimits(rows: 10, values: 10, bytes: 101)).outcome != nil)
        for limits in [
            QueryLimits(rows: 9), QueryLimits(values: 9), QueryLimits(bytes: 100),
        ] {
            #expect(throws: ExecutionError.self, "\(limits)") { try answer(bytes, limits: limits) }
        }
    }

    @Test func failuresKeepTheirKind() throws {
        let failures: [ExecutionError] = [
            .invalidQuery("a"), .queryLimit("b"), .corrupt(file: "database", reason: "c"),
            .unusable(file: "database", reason: "d"), .failed(file: "database", reason: "e"),
        ]
        for failure in failures {
            let bytes = try frames { writer in
                writer.begin(["a"])
                writer.add(.null)
                writer.failed(failure)
            }
            #expect(try answer(bytes).outcome == .failure(failure))
        }
        #expect(
            !ExecutionError.corrupt(file: "/secret", reason: "/secret").publicDescription.contains("secret"))
        #expect(
            !ExecutionError.failed(file: "/secret", reason: "/secret").publicDescription.contains("secret"))
        #expect(
            !ExecutionError.unusable(file: "/secret", reason: "/secret").publicDescription.contains("secret"))
    }

    @Test(arguments: 0..<40) func questionsComeBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var parameters: [RawStatement.Parameter] = []
        for number in 0..<Int.random(in: 0..<6, using: &random) {
            parameters.append(.init("$é\(number)", try value(&random)))
        }
        parameters.append(.init("list", try #require(.array(of: .int8, [.int8(1), .null]))))
        let question = QueryQuestion(
            "SELECT e\u{301}", parameters,
            QueryLimits(
                rows: 1, values: 2, bytes: 3, time: .milliseconds(1_234),
                processorTime: seed % 2 == 0 ? nil : .milliseconds(5)))
        let frame = try #require(question.frame)
        #expect(try QueryQuestion(decoding: SharedBytes(Array(frame.dropFirst(4)))) == question)
        for count in [4, 20, frame.count - 1] {
            #expect(throws: BytesError.self) {
                try QueryQuestion(decoding: SharedBytes(Array(frame[4..<count])))
            }
        }
    }
}
