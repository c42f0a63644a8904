import Testing

@testable import Arguments
@testable import apus_sim

@Suite struct CommandLineTests {
    /// Each of these did something else than it says, or ended the process, or was not noticed.
    @Test(
        arguments: [
            ("simulate --nodes 99999999999", "--nodes"), ("simulate --nodes 0", "--nodes"),
            ("simulate --validators 0", "--validators"), ("simulate --validators -3", "--validators"),
            ("simulate --nodes 2 --validators 5", "--validators 5"), ("simulate --sentries -1", "--sentries"),
            ("simulate --nodes 5 --sentries 2", "--nodes"), ("simulate --jobs 0", "--jobs"),
            ("simulate --jobs 1000000", "--jobs"), ("simulate --blocks 0", "--blocks"),
            ("simulate --blocks -5", "--blocks"), ("simulate --blocks 9223372036854775807", "--blocks"),
            ("simulate --seeds 1-99999999999999999", "--seeds"),
            ("simulate --seeds 0-18446744073709551615", "--seeds"), ("simulate --seeds 5-3", "--seeds"),
            ("simulate --seeds 1-2-3", "--seeds"), ("simulate --seeds 1", "--seeds"),
            ("simulate --seeds -1-3", "--seeds"), ("simulate --seed 1 --seeds 1-2", "--seed"),
            ("simulate --seed 18446744073709551616", "--seed"), ("simulate --seed -1", "--seed"),
            ("simulate --scenario nothing", "--scenario"), ("simulate --execution evm", "--execution"),
            ("simulate --scenario late-sentry --nodes 1", "--scenario"),
            ("simulate --fault lightning", "--fault"), ("simulate --fault kill --no-faults", "--fault"),
            ("simulate --scenario late-sentry --fault kill", "--fault"),
            ("simulate --seeds 1-2 --trace x", "--trace"), ("simulate --scenario all --trace x", "--trace"),
        ])
    func refuses(_ line: String, _ name: String) {
        let error = #expect(throws: UsageError.self) {
            try ApusSim.command.request(line.split(separator: " ").map { String($0) })
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains(name) && !text.contains("\n"), "\(text)")
    }

    @Test func valuesReachTheirPlaces() throws {
        let request = try ApusSim.command.request([
            "simulate", "--seeds", "3-8", "--nodes", "9", "--validators", "4", "--blocks", "12",
            "--execution", "sql", "--no-faults", "--cheap-crypto", "--jobs", "5",
        ])
        guard case .run(let action) = request else {
            throw UsageError.unknownCommand("simulate", nearest: nil)
        }
        let simulate = try #require(action as? SimulateCommand)
        #expect(simulate.seed == nil && simulate.seeds == SeedRange(3, 8) && simulate.scenario == nil)
        #expect(simulate.validators == 4 && simulate.sentries == nil && simulate.nodes == 9)
        #expect(simulate.blocks == 12 && simulate.execution == .sql && simulate.jobs == 5)
        #expect(simulate.hasNoFaults && simulate.hasCheapCrypto && !simulate.lists && simulate.trace == nil)
        #expect(simulate.fault == nil)
    }

    @Test func oneKindOfFaultCanBeChosen() throws {
        guard case .run(let action) = try ApusSim.command.request(["simulate", "--fault", "bitFlip"]) else {
            throw UsageError.unknownCommand("simulate", nearest: nil)
        }
        #expect((action as? SimulateCommand)?.fault == .bitFlip)
    }

    /// Names of commands and options are in scripts of other people: none may go or change.
    @Test func noNameHasGone() {
        let names: [String: [String]] = [
            "simulate": [
                "--seed", "--seeds", "--scenario", "--list", "--validators", "--sentries", "--nodes",
                "--blocks", "--execution", "--fault", "--no-faults", "--cheap-crypto", "--trace", "--jobs",
            ],
            "fuzz-sql": ["--seeds", "--seconds", "--prices"],
            "chain": ["--root", "--height", "--transactions", "--bytes"],
            "state": ["--root", "--rows", "--blocks"],
        ]
        #expect(Set(ApusSim.command.subcommands.map(\.name)) == Set(names.keys))
        for command in ApusSim.command.subcommands.map(\.command) {
            let found = command.declarations.flatMap {
                ($0.letter.map { ["-\($0)"] } ?? []) + ["--\($0.name)"]
            }
            #expect(found == (names[command.name] ?? []) + ["-h", "--help", "--version"], "\(command.name)")
        }
    }

    @Test(arguments: ["simulate", "fuzz-sql", "chain", "state"]) func everyHelpFitsATerminal(_ name: String)
        throws
    {
        guard case .help(let help) = try ApusSim.command.request([name, "--help"]) else {
            Issue.record("\(name) has no help")
            return
        }
        let lines = help.text().split(separator: "\n")
        #expect(lines.first?.hasPrefix("Usage: apus-sim \(name)") == true)
        #expect(lines.allSatisfy { $0.count <= 80 }, "\(name)")
    }

    /// As many seeds as there may be, none of which is made before its turn.
    @Test func plansAreNotMadeInAdvance() {
        let plan = SimulationPlan(
            seeds: SeedRange(.max - SeedRange.mostSeeds + 1, .max), scenarios: [nil])
        #expect(plan.count == 1_000_000)
        #expect(plan[0].seed == .max - 999_999 && plan[999_999].seed == .max)
    }
}
