import JSON
import Testing

@testable import Arguments

@Suite struct JSONLineTests {
    @Test(arguments: [
        ("plain \"text\"\n", #"plain \"text\"\n"#), ("\u{1B}[31m", #"\u001b[31m"#), ("\u{7F}", #"\u007f"#),
        ("\u{9B}31m", #"\u009b31m"#), ("\u{202E}gpj", #"\u202egpj"#), ("\u{2028}", #"\u2028"#),
        ("\u{E0041}", #"\udb40\udc41"#), ("Ämter, 日本, 🙂", "Ämter, 日本, 🙂"),
    ])
    func whatATerminalInterpretsIsEscaped(_ text: String, _ expected: String) throws {
        let line = JSONLine.object { $0.member("a", text: text) }
        #expect(line.text == "{\"a\":\"\(expected)\"}")
        var members = try JSONDocument(Array(line.text.utf8)).root.members()
        #expect(try members.value("a").string().unicodeScalars.elementsEqual(text.unicodeScalars))
    }

    /// Even if the command line is wrong: a program that reads errors must be able to read this one.
    @Test(arguments: [
        (["query", "x", "--json"], OutputForm.json), (["--json", "--nonsense"], .json),
        (["query", "--", "--json"], .text),
        (["query", "--jsonx"], .text), ([], .text),
    ])
    func theFormIsKnownBeforeTheCommandIs(_ words: [String], _ form: OutputForm) {
        #expect(OutputForm.of(words) == form)
    }
}
