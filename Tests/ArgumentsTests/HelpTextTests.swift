import Testing

@testable import Arguments

@Suite struct HelpTextTests {
    private func help(_ line: [String], columns: Int = HelpText.usualColumns) throws -> String {
        guard case .help(let help) = try Sample.program.request(line) else { return "no help" }
        return help.text(columns: columns)
    }

    @Test func groupsArgumentsOptionsAndWhatIsShared() throws {
        #expect(
            try help(["copy", "--help"]) == """
                Usage: sample copy --root DIRECTORY [OPTION...] SOURCE [TARGET]

                Copies.

                Arguments:
                  SOURCE                From where.
                  TARGET                To where.

                Options:
                  -c, --count NUMBER    How often. (1 to 10; default: 3)
                  -t, --tag TAG         A tag. (may be repeated)
                  --color COLOR         Its ink. (red, blue or pale-green)

                Shared:
                  --root DIRECTORY      Where. (required)
                  --force               Even so.
                  --loud                Say it. (default: yes)
                  --no-loud             Keep it to oneself.

                Common options:
                  -h, --help            Show this help.
                  --version             Show the version.

                """)
    }

    @Test func listsCommands() throws {
        #expect(
            try help(["help"]).contains(
                """
                Commands:
                  copy                  Copies.
                  group                 A group.
                  help COMMAND          Show a command's help.
                """))
    }

    @Test(arguments: [40, 41, 60, 80, 100, 110])
    func fillsLinesToTheColumns(_ columns: Int) throws {
        let words = (1...60).map { String(repeating: "w", count: $0 % 7 + 1) }.joined(separator: " ")
        let command = Command(
            "wide", words, discussion: words, .option("an-option-with-a-long-name", .text("VALUE"), words),
            .flag("flag", words), action: { (_: String?, _: Bool) in Nothing() })
        guard case .help(let help) = try command.request(["--help"]) else {
            Issue.record("no help")
            return
        }
        let lines = help.text(columns: columns).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.count <= columns })
        // No line leaves room for the first word of the next.
        for (line, next) in zip(lines, lines.dropFirst())
        where next.hasPrefix(String(repeating: " ", count: 24)) {
            let word = next.drop { $0 == " " }.prefix { $0 != " " }
            #expect(line.count + 1 + word.count > columns || line.hasPrefix("  --an-option"))
        }
        let squeezed = lines.joined(separator: " ").split(separator: " ").joined(separator: " ")
        #expect(squeezed.components(of: words) == 4)
    }

    @Test func widthsAreBounded() throws {
        #expect(try help(["copy", "-h"], columns: 0) == help(["copy", "-h"], columns: 40))
        #expect(try help(["copy", "-h"], columns: .max) == help(["copy", "-h"], columns: 110))
    }

    private struct Nothing: Action {
        func run() async throws {}
    }
}

extension String {
    /// Counts the occurrences of `text`.
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}

@Suite struct NearestTests {
    @Test(
        arguments: [
            ("validtors", "validators"), ("validatros", "validators"), ("valdiators", "validators"),
            ("sentires", "sentries"), ("sed", "seed"), ("seds", "seeds"), ("valid", "validators"),
        ])
    func misspellings(_ word: String, _ expected: String) {
        #expect(nearest(to: word, among: ["seed", "seeds", "sentries", "validators"]) == expected)
    }

    @Test(arguments: ["", "zebra", "s", "x", String(repeating: "validators", count: 100)])
    func nothingNear(_ word: String) {
        #expect(nearest(to: word, among: ["seed", "seeds", "sentries", "validators"]) == nil)
    }
}
