import Arguments
import JSON
import Multiformats

/// `apus load`: sends transactions to a network at a fixed rate, and measures how long each takes to be committed
/// (docs/operate/load.md).
struct LoadCommand: Action, Sendable {
    let key: String
    let rate: Int
    let duration: Int
    let size: Int
    let senders: Int
    let steps: Int
    let patience: Int
    let isConfirmed: Bool
    let rpc: RPCOptions
    let output: OutputForm

    /// The connections to the node, each for its own senders. A busy one sends several transactions in one request.
    static let connections = 16
    /// The factor from one step's rate to the next.
    static let growth = 1.25

    static var command: Command {
        Command(
            "load", "Send transactions at a fixed rate, and measure how long they take to be committed.",
            discussion: """
                Each transaction has a time at which it is due, whatever became of those before it, and its latency counts \
                from then until the node has the block that contains it. A network that cannot keep up thus shows as \
                latency and errors, never as a lower rate. The table load_measurement, with one row per sender, is created \
                before and dropped after the measurement.
                """,
            .required("key", .path("FILE"), "Key file of the database's owner, who lets the senders write."),
            .option("rate", .integer(1...100_000), default: 100, "Transactions per second."),
            .option("duration", .integer(1...86_400, "SECONDS"), default: 10, "Time to send, for each step."),
            .option("size", .integer(LoadTarget.sizes, "BYTES"), default: 400, "Size of a transaction."),
            .option(
                "senders", .integer(1...1_000), default: 64,
                "Number of accounts that send, each with a new key."),
            .option(
                "steps", .integer(1...100), default: 1,
                "Number of measurements, each with a quarter more transactions per second, until latency or "
                    + "errors show that the network cannot keep up."),
            .option(
                "timeout", .integer(1...3_600, "SECONDS"), default: 30,
                "Time after which a transaction that is not committed counts as an error."),
            .flag("yes", "Load a node of another machine."),
            RPCOptions.parameters, OutputForm.parameter,
            action: LoadCommand.init)
    }

    func validate() throws(UsageError) {
        guard isConfirmed || rpc.isLoopback else {
            throw .inconsistent(
                "\(rpc.address) is another machine, whose network a load may exhaust: add --yes if you may do that"
            )
        }
        guard Self.rate(ofStep: steps - 1, from: rate) <= Double(100_000) else {
            throw .inconsistent("--steps \(steps) exceeds 100000 transactions per second")
        }
    }

    /// The rate of a step, counted from 0.
    static func rate(ofStep step: Int, from first: Int) -> Double {
        (0..<step).reduce(Double(first)) { rate, _ in rate * growth }
    }

    func run() async throws {
        let stop = try StopSignal()
        let target = try await LoadTarget.prepare(self)
        let outcome = await stop.unlessRaised { () -> Result<[LoadResult], any Error> in
            do { return .success(try await measure(target)) } catch { return .failure(error) }
        }
        await target.cleanUp()
        guard let results = try outcome?.get() else { throw ExitStatus(130) }
        if output == .json { try StandardOutput.print(.load(self, results)) }
        guard results.contains(where: { $0.committed > 0 }) else {
            throw CommandFailure("no transaction was committed")
        }
    }

    /// Measures each step, and stops after one at which the network cannot keep up.
    private func measure(_ target: LoadTarget) async throws -> [LoadResult] {
        var results: [LoadResult] = []
        for step in 0..<steps {
            let run = LoadRun(
                target, rate: Self.rate(ofStep: step, from: rate), duration: .seconds(duration),
                patience: .seconds(patience))
            results.append(try await run.run())
            guard let last = results.last, let first = results.first else { break }
            if output == .text { try StandardOutput.printAtOnce(LoadReport.text(last, isFirst: step == 0)) }
            if steps > 1, let reason = last.overload(comparedTo: first) {
                if output == .text { try StandardOutput.printAtOnce("\n" + LoadReport.knee(results, reason)) }
                break
            }
        }
        return results
    }
}

extension RPCOptions {
    /// Whether the node is on this machine.
    fileprivate var isLoopback: Bool {
        var rest = address[...]
        if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
        guard let host = try? HostPort(rest.prefix { $0 != "/" }).host else { return false }
        return host == "localhost" || IP(host)?.isLoopback == true
    }
}
