import Arguments
import Reactor

/// `apus testnet`: runs a network of processes on loopback that commits a file's rows, and proves that all nodes agree.
struct TestnetCommand: Action, Sendable {
    let input: String
    let root: String
    let validators: Int
    let sentries: Int
    let reactor: Reactor.DriverKind
    let keeps: Bool

    /// The maximum number of nodes of each kind, so that all fit into one machine's memory.
    private static let maximumNodes = 50

    static var command: Command {
        Command(
            "testnet",
            "Run a network of processes on loopback, commit a file's rows and prove that all nodes agree.",
            .option(
                "input", .path("FILE"), default: "/usr/share/unicode/UnicodeData.txt",
                "Rows to commit: .csv, .json (an array of objects) or UnicodeData.txt."),
            .option(
                "root", .path("DIRECTORY"), default: ".testnet",
                "Directory for the nodes' files. Those of an earlier test network are deleted."),
            .option(
                "validators", .integer(1...maximumNodes), default: 3,
                "Number of validators besides the leader."),
            .option("sentries", .integer(0...maximumNodes), default: 1, "Number of sentries."),
            .option("reactor", .choice("DRIVER"), default: .auto, "Reactor driver."),
            .flag(
                "keep", "Keep the network running after the proof, until Ctrl-C, and keep its directories."),
            action: TestnetCommand.init)
    }

    func run() async throws {
        let stop = try StopSignal()
        let testnet = try Testnet(self)
        let display = TestnetDisplay()
        let outcome = await stop.unlessRaised { () -> Result<TestnetProof, any Error> in
            do { return .success(try await testnet.run(display)) } catch { return .failure(error) }
        }
        var code: Int32 = 0
        switch outcome {
        case .success(let proof):
            display.note("\n" + proof.report)
            for line in proof.differences { StandardError.print("DIFFERENT: \(line)") }
            code = proof.differences.isEmpty ? 0 : 1
            if keeps {
                let addresses = testnet.nodes.map { "  \($0.name)  --rpc \($0.rpcAddress)" }
                display.note("\nRunning until Ctrl-C:\n" + addresses.joined(separator: "\n"))
                await stop.wait()
            }
        case .failure(let error):
            StandardError.print("Error: \(error)")
            code = 1
        case nil:
            StandardError.print("stopped by a signal")
            code = 130
        }
        await testnet.stop()
        if code != 0 { throw ExitStatus(code) }
    }
}
