import Chain
import TestSupport
import Testing

@testable import Execution

/// Stopping execution.
@Suite struct StopTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func aStoppedExecutionLeavesNothing() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        let tip = chain.application.tip
        let insert = try chain.statement("INSERT INTO t VALUES (1)")
        chain.application.stop()
        #expect(throws: ExecutionError.stopped) { try chain.execute([insert]) }
        #expect(chain.application.tip == tip)
        #expect(try chain.number("SELECT count(*) FROM t") == 0)
        #expect(try chain.commit([insert]).results[0].isOK, "it stops only one execution")
    }

    @Test func aPreparedBlockIsCommittedAllTheSame() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        _ = try chain.execute([try chain.statement("INSERT INTO t VALUES (1)")])
        chain.application.stop()
        try chain.application.commit()
        #expect(try chain.number("SELECT count(*) FROM t") == 1)
    }

    @Test func aStatementGivesUpWithinItsStride() throws {
        let connection = try SQLiteConnection(path: "\(directory.path)/a.sqlite", access: .readWrite)
        let flag = StopFlag()
        let meter = CostMeter(flag)
        meter.attach(to: connection)
        let count = try connection.prepare(
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) SELECT count(*) FROM c"
        )
        meter.start(.max - 1)
        meter.run(at: CostModel.widths[0])
        #expect(try count.step())
        count.reset()
        flag.raise()
        let error = #expect(throws: SQLiteFailure.self) { try count.step() }
        #expect(error?.nodeError == .stopped)
        meter.stop()
        count.reset()
        #expect(try count.step(), "the node's own statements run to completion")
    }

    @Test func noopStops() throws {
        let chain = try ApplicationChain(NoopApplication())
        chain.application.stop()
        #expect(throws: ExecutionError.stopped) { try chain.execute([]) }
        _ = try chain.commit([])
    }
}
