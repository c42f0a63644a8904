/// The CPU time that a unit of cost stands for on this machine (docs/execution.md, "Costs").
public struct UnitPrice: Sendable {
    /// The factor from an instruction of a loop to a unit: units price the dearest known work, a loop takes a tenth
    /// of it.
    private static let loop = 10
    /// The factor by which a block may exceed its price.
    private static let tolerance = 5
    /// The allowance of every block: SQLite opens files and reads the schema, and a thread may start cold.
    private static let free = Duration.milliseconds(100)

    private let unit: Duration

    init(loopOf units: Int, took time: Duration) { unit = time * Self.loop / max(units, 1) }

    /// Returns a CPU time as a share of that allowed for a cost in units.
    func share(of time: Duration, at units: Int) -> Double {
        time / (Self.free + unit * units * Self.tolerance)
    }
}
