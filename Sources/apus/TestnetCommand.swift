import Arguments
import JSON
import Reactor

/// `apus testnet`: runs a network of processes on loopback that commits a file's rows, and proves that all nodes agree.
struct TestnetCommand: Action, Sendable {
    let input: String
    let root: String
    let validators: Int
    let sentries: Int
    let reactor: Reactor.DriverKind
    let keeps: Bool
    let output: OutputForm

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
            OutputForm.parameter,
            action: TestnetCommand.init)
    }

    func run() async throws {
        let stop = try StopSignal()
        let testnet = try Testnet(self)
        let display = TestnetDisplay(shows: output == .text)
        let outcome = await stop.unlessRaised { () -> Result<TestnetProof, any Error> in
            do { return .success(try await testnet.run(display)) } catch { return .failure(error) }
        }
        // Nothing may be thrown before the nodes are stopped.
        var failure: (any Error)?
        switch outcome {
        case .success(let proof):
            display.note("\n" + proof.report)
            if output == .json { try? StandardOutput.printAtOnce(.proof(proof)) }
            if output == .text { for line in proof.differences { StandardError.print("DIFFERENT: \(line)") } }
            if !proof.differences.isEmpty { failure = CommandFailure("the nodes differ") }
            if keeps {
                let addresses = testnet.nodes.map { "  \($0.name)  --rpc \($0.rpcAddress)" }
                display.note(
                    "\nRunning until Ctrl-C:\n" + addresses.joined(separator: "\n")
                        + "\nThe database's owner is \(testnet.ownerFile).")
                await stop.wait()
            }
        case .failure(let error):
            failure = error
        case nil:
            StandardError.print("stopped by a signal")
            failure = ExitStatus(130)
        }
        await testnet.stop()
        if let failure { throw failure }
    }
}

extension JSONLine {
    fileprivate static func proof(_ proof: TestnetProof) -> JSONLine {
        .object { line in
            line.member("transactions", integer: proof.transactions)
            line.member("seconds", number: proof.seconds)
            line.member("agree", flag: proof.differences.isEmpty)
            line.array("differences", of: proof.differences) { $0.text($1) }
            line.array("nodes", of: proof.standings) { list, standing in
                let (status, usage) = (standing.status, standing.usage)
                list.object {
                    $0.member("name", text: standing.name)
                    $0.member("rpc", text: standing.rpcAddress)
                    $0.member("role", text: status.role.rawValue)
                    $0.member("height", integer: status.height)
                    $0.member("block_hash", hex: status.blockHash)
                    $0.member("app_hash", hex: status.appHash)
                    $0.member("rows", integer: standing.rowCount)
                    $0.member("rows_hash", hex: standing.rowDigest)
                    $0.member("resident_bytes", integer: usage.residentKiB << 10)
                    $0.member("peak_resident_bytes", integer: usage.peakKiB << 10)
                    $0.member("cpu_seconds", number: usage.cpuSeconds)
                }
            }
        }
    }
}
