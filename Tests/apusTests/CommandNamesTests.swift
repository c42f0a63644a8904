import Testing

@testable import Arguments
@testable import apus

/// Other people's scripts and unit files contain the names of commands, arguments and options: none may change or
/// disappear.
@Suite struct CommandNamesTests {
    private static let host = ["--key", "--reactor", "--security", "--json"]
    private static let sending = ["--key", "--nonce", "--wait", "--rpc", "--json"]
    /// The number of arguments and the names of options of each command.
    private static let names: [String: (arguments: Int, options: [String])] = [
        "apus run": (0, ["--root", "--exit-with-parent"]),
        "apus init": (
            0,
            [
                "--root", "--chain-id", "--genesis", "--key", "--key-type", "--owner", "--listen",
                "--rpc-listen", "--bootnode", "--json",
            ]
        ),
        "apus config": (0, ["--root", "--markdown", "--limits", "--json"]),
        "apus key new": (1, ["--type", "--json"]),
        "apus key show": (1, ["--json"]),
        "apus testnet": (
            0, ["--input", "--root", "--validators", "--sentries", "--reactor", "--keep", "--json"]
        ),
        "apus status": (0, ["--rpc", "--json"]),
        "apus validators": (0, ["--rpc", "--json"]),
        "apus query": (1, ["-p", "--parameter", "--rpc", "--json"]),
        "apus tx send": (1, ["-p", "--parameter"] + sending),
        "apus tx validator-join": (0, ["--power"] + sending),
        "apus tx validator-approve": (1, sending),
        "apus tx validator-remove": (1, sending),
        "apus tx validator-leave": (0, sending),
        "apus tx show": (1, ["--rpc", "--json"]),
        "apus load": (
            0,
            [
                "--key", "--rate", "--duration", "--size", "--senders", "--steps", "--timeout", "--yes",
                "--rpc", "--json",
            ]
        ),
        "apus trace": (2, ["--slowest", "--nodes", "--perfetto", "--hdr", "--rpc", "--json"]),
        "apus ping": (1, ["--count", "--streams"] + host),
        "apus identify": (1, host),
        "apus gossip": (
            0,
            ["--listen", "--connect", "--topic", "--degree", "--flood-publish", "--no-flood-publish"] + host
        ),
        "apus perf": (1, ["--upload", "--download", "--idle", "--listen"] + host),
        "apus profile": (
            0, ["--pid", "--seconds", "--frequency", "--off-cpu", "--output", "--folded", "--json"]
        ),
    ]

    @Test func noNameHasGone() {
        let commands = Self.leaves(Apus.command, path: "apus")
        #expect(Set(commands.map(\.path)) == Set(Self.names.keys))
        for (path, command) in commands {
            let expected = Self.names[path]
            #expect(command.declarations.count { $0.kind == .argument } == expected?.arguments, "\(path)")
            let options = command.declarations.filter { $0.kind != .argument }
            let names = options.flatMap { ($0.letter.map { ["-\($0)"] } ?? []) + ["--\($0.name)"] }
            #expect(names == (expected?.options ?? []) + ["-h", "--help", "--version"], "\(path)")
        }
    }

    /// Returns the commands without subcommands.
    private static func leaves(_ command: Command, path: String) -> [(path: String, command: Command)] {
        command.subcommands.isEmpty
            ? [(path, command)]
            : command.subcommands.flatMap { leaves($0.command, path: "\(path) \($0.name)") }
    }

    @Test func everyHelpFitsATerminal() throws {
        for (path, _) in Self.leaves(Apus.command, path: "apus") {
            let words = path.split(separator: " ").dropFirst().map { String($0) }
            guard case .help(let help) = try Apus.command.request(words + ["--help"]) else {
                Issue.record("\(path) has no help")
                continue
            }
            let lines = help.text().split(separator: "\n")
            #expect(lines.first?.hasPrefix("Usage: \(path)") == true)
            #expect(lines.allSatisfy { $0.count <= 80 }, "\(path)")
        }
    }
}
