import ArgumentParser
import Foundation

/// `apus testnet`: a network of processes on loopback that commits a file and proves it.
struct TestnetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "testnet",
        abstract:
            "Run a network of processes on loopback, commit a file's rows and prove that all nodes agree.")

    @Option(help: "Rows to commit: .csv, .json (an array of objects) or UnicodeData.txt.")
    var input = "/usr/share/unicode/UnicodeData.txt"

    @Option(help: "Where the nodes' directories go; what an earlier test network left there is deleted.")
    var root = ".testnet"

    @Option(help: "Validators beside the leader.")
    var validators = 3

    @Option(help: "Sentries.")
    var sentries = 1

    @Option(help: "io_uring, epoll or auto.")
    var reactor = "auto"

    @Flag(help: "Keep the network running after the proof, until Ctrl-C, and keep its directories.")
    var keep = false

    func validate() throws {
        guard (0...50).contains(validators) else { throw ValidationError("--validators is 0 to 50") }
        guard (0...50).contains(sentries) else { throw ValidationError("--sentries is 0 to 50") }
        guard ["auto", "io_uring", "epoll"].contains(reactor) else {
            throw ValidationError("--reactor is io_uring, epoll or auto")
        }
    }

    func run() async throws {
        let stop = StopSignal()
        let testnet = try Testnet(
            .init(
                input: input, root: root, validators: validators, sentries: sentries, reactor: reactor,
                keep: keep))
        let display = TestnetDisplay()
        let outcome: Result<TestnetProof, any Error>? = await withTaskGroup(
            of: Result<TestnetProof, any Error>?.self
        ) { group in
            group.addTask {
                do {
                    return .success(try await testnet.run(display))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await stop.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        let code: Int32
        switch outcome {
        case .success(let proof):
            display.note("\n" + proof.report)
            for line in proof.differences { StandardError.print("DIFFERENT: \(line)") }
            code = proof.differences.isEmpty ? 0 : 1
            if keep {
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
        throw ExitCode(code)
    }
}
