/// What a unit of cost stands for on this machine, in CPU time (docs/execution.md, "Costs").
public struct UnitPrice: Sendable {
    /// Units are prices of the dearest known work. An instruction of a loop takes a tenth of it.
    private static let loop = 10
    /// So much more than its price may a block take.
    private static let tolerance = 5
    /// What any block may take: SQLite opens files and reads the schema, and a thread may start cold.
    private static let free = Duration.milliseconds(100)

    private let unit: Duration

    init(loopOf units: Int, took time: Duration) { unit = time * Self.loop / max(units, 1) }

    /// CPU time as a share of what may be taken for so many units.
    func share(of time: Duration, at units: Int) -> Double {
        time / (Self.free + unit * units * Self.tolerance)
    }
}
