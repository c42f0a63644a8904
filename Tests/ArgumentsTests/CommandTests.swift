import Testing

@testable import Arguments

/// Returns what a command line of `Sample.program` parses to: the action's values, `help PATH`, `version`, or
/// the error.
func reading(_ line: [String]) -> String {
    do {
        switch try Sample.program.request(line) {
        case .run(let action): return "\(action)"
        case .help(let help): return "help " + (help.text().split(separator: "\n").first ?? "")
        case .version: return "version"
        }
    } catch {
        return "\(error)"
    }
}

/// Splits at spaces, for lines whose values contain none.
func reading(_ line: String) -> String { reading(line.split(separator: " ").map { String($0) }) }

/// A program with one of everything.
enum Sample {
    static var program: Command {
        Command(
            "sample", "Everything.",
            subcommands: [Subcommand("copy", Copy.command), Subcommand("group", groupCommand)])
    }

    static var groupCommand: Command {
        Command("group", "A group.", subcommands: [Subcommand("leaf", Leaf.command)])
    }

    struct Copy: Action, CustomStringConvertible {
        let source: String
        let target: String?
        let count: Int
        let tags: [String]
        let color: Color?
        let shared: Shared

        static var command: Command {
            Command(
                "copy", "Copies.",
                .argument(.text("SOURCE"), "From where."),
                .argument(.text("TARGET"), "To where."),
                .option("count", letter: "c", .integer(1...10), default: 3, "How often."),
                .repeated("tag", letter: "t", .text("TAG"), "A tag."),
                .option("color", .choice("COLOR"), "Its ink."),
                Shared.parameters,
                action: Copy.init)
        }

        func validate() throws(UsageError) {
            if target == source { throw .inconsistent("SOURCE and TARGET are one") }
        }

        func run() async throws {}

        var description: String {
            "\(source) \(target ?? "-") \(count) \(tags.joined(separator: "+")) \(color?.rawValue ?? "-") \(shared)"
        }
    }

    enum Color: String, CaseIterable { case red, blue, paleGreen = "pale-green" }

    struct Shared: CustomStringConvertible {
        let root: String
        let isForced: Bool
        let isLoud: Bool

        static var parameters: Parameter<Shared> {
            .group(
                "Shared",
                .required("root", .text("DIRECTORY"), "Where."),
                .flag("force", "Even so."),
                .flag("loud", orNo: "Say it.", "Keep it to oneself."),
                make: Shared.init)
        }

        var description: String { "\(root)\(isForced ? " forced" : "")\(isLoud ? "" : " silent")" }
    }

    struct Leaf: Action, CustomStringConvertible {
        let number: UInt64

        static var command: Command {
            Command(
                "leaf", "A leaf.",
                Parameter<UInt64>.option("number", .integer(0...UInt64.max), default: 0, "Any."),
                action: Leaf.init)
        }

        func run() async throws {}

        var description: String { "leaf \(number)" }
    }
}

@Suite struct CommandTests {
    @Test(
        arguments: [
            ("copy a --root r", "a - 3  - r"),
            ("copy --root r a", "a - 3  - r"),
            ("copy --root=r a b --count=5", "a b 5  - r"),
            ("copy a --root r b --count 10", "a b 10  - r"),
            ("copy -c 2 -t x --root r -ty --tag=z a", "a - 2 x+y+z - r"),
            ("copy --color pale-green --root r a", "a - 3  pale-green r"),
            ("copy --root r --force --no-loud a", "a - 3  - r forced silent"),
            ("copy --root r --loud a", "a - 3  - r"),
            ("copy --root r -- --count -x", "--count -x 3  - r"),
            ("copy --root=--count a", "a - 3  - --count"),
            ("copy --root -x a", "a - 3  - -x"),
            ("copy --root r -", "- - 3  - r"),
            ("copy --root=a=b c", "c - 3  - a=b"),
            ("group leaf", "leaf 0"),
            ("group leaf --number 18446744073709551615", "leaf 18446744073709551615"),
        ])
    func reads(_ line: String, _ expected: String) { #expect(reading(line) == expected) }

    @Test(
        arguments: [
            ("--help", "help Usage: sample COMMAND"), ("-h", "help Usage: sample COMMAND"),
            ("help", "help Usage: sample COMMAND"), ("--version", "version"),
            ("copy --help", "help Usage: sample copy --root DIRECTORY [OPTION...] SOURCE [TARGET]"),
            ("copy --count 99 -h", "help Usage: sample copy --root DIRECTORY [OPTION...] SOURCE [TARGET]"),
            ("help group leaf", "help Usage: sample group leaf [OPTION...]"),
            ("group help leaf", "help Usage: sample group leaf [OPTION...]"),
            ("group leaf --version", "version"),
        ])
    func helpsAtEachLevel(_ line: String, _ expected: String) { #expect(reading(line) == expected) }

    @Test(
        arguments: [
            ("copy --root r --cuont 3 a", "unknown option \"--cuont\"; did you mean \"--count\"?"),
            ("copy --root r --coun 3 a", "unknown option \"--coun\"; did you mean \"--count\"?"),
            ("copy --root r --fo a", "unknown option \"--fo\"; did you mean \"--force\"?"),
            ("copy --root r --zzz=1 a", "unknown option \"--zzz\""),
            ("copy -x a", "unknown option \"-x\""), ("copy -tx -z a", "unknown option \"-z\""),
            ("cpoy a", "unknown command \"cpoy\"; did you mean \"copy\"?"),
            ("frobnicate", "unknown command \"frobnicate\""),
            ("help laef", "unknown command \"laef\""),
            ("group laef", "unknown command \"laef\"; did you mean \"leaf\"?"),
            ("", "\"sample\" needs a command: copy or group; see \"sample --help\""),
            ("group", "\"sample group\" needs a command: leaf; see \"sample group --help\""),
            ("--root r copy a", "unknown option \"--root\""),
            ("copy a", "--root is missing"), ("copy --root r", "SOURCE is missing"),
            ("copy --root r a b c", "unexpected argument \"c\""),
            ("copy a --root", "--root needs a value"), ("copy a -c", "--count needs a value"),
            (
                "copy a --root --count 3",
                "--root needs a value; if \"--count\" is the value, write \"--root=--count\""
            ),
            ("copy --root r --force=yes a", "--force takes no value"),
            ("copy --root r --root s a", "--root is given twice"),
            ("copy --root r --force --force a", "--force is given twice"),
            ("copy --root r --loud --no-loud a", "--loud and --no-loud exclude each other"),
            ("copy --root r --count 0 a", "--count: \"0\" is not a whole number from 1 to 10"),
            ("copy --root r -c11 a", "--count: \"11\" is not a whole number from 1 to 10"),
            ("copy --root r -c -1 a", "--count: \"-1\" is not a whole number from 1 to 10"),
            ("copy --root r -c 1.5 a", "--count: \"1.5\" is not a whole number from 1 to 10"),
            (
                "copy --root r -c 99999999999999999999 a",
                "--count: \"99999999999999999999\" is not a whole number from 1 to 10"
            ),
            ("copy --root r --color green a", "--color: \"green\" is not red, blue or pale-green"),
            ("copy --root r a a", "SOURCE and TARGET are one"),
            (
                "group leaf --number -1",
                "--number: \"-1\" is not a whole number from 0 to 18446744073709551615"
            ),
        ])
    func refuses(_ line: String, _ expected: String) { #expect(reading(line) == expected) }

    @Test func emptyAndLongWords() {
        #expect(reading(["copy", "--root", "", "a"]) == "--root: \"\" is not a non-empty text")
        #expect(reading(["copy", "--root=", "a"]) == "--root: \"\" is not a non-empty text")
        let long = String(repeating: "x", count: 5000)
        #expect(reading(["copy", "a", "b", long]).count < 120)
        #expect(reading(["--" + long]).count < 120)
        #expect(reading(["copy", "--root", "r", long]).count > 5000)
    }

    /// Swift considers these two texts equal.
    @Test func wordsAreComparedByTheirBytes() {
        #expect(reading(["copy", "--root", "r", "\u{E9}", "x"]).utf8.starts(with: [0xC3, 0xA9]))
        #expect(reading(["copy", "--root", "r", "e\u{301}", "x"]).utf8.starts(with: [0x65, 0xCC, 0x81]))
    }

    @Test func theProgramsWordsComeFromMain() throws {
        #expect(try ProgramWords.read() == Array(CommandLine.arguments.dropFirst()))
    }
}
