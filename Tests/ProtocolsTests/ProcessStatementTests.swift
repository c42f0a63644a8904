import Bytes
import Testing

@testable import Protocols

struct ProcessStatementTests {
    @Test func statementsComeBackAsTheyWere() {
        for count in 0...4 as ClosedRange<UInt64> {
            let statement = ProcessStatement(ProcessID(7, count), heard: (0..<count).map { ProcessID($0, 1) })
            #expect(statement.bytes.count == 16 * Int(count + 1))
            #expect(ProcessStatement(decoding: SharedBytes(statement.bytes)) == statement)
        }
        let many = ProcessStatement(ProcessID(0, 0), heard: (0..<9).map { ProcessID($0, 1) })
        #expect(many.heard.count == ProcessStatement.mostHeard)
    }

    @Test func otherLengthsAreNone() {
        for count in [0, 1, 15, 17, 31, 96, 1_600] {
            #expect(ProcessStatement(decoding: SharedBytes([UInt8](repeating: 1, count: count))) == nil)
        }
    }
}
