import Testing

@testable import Bytes

/// Text from outside is compared by its bytes.
@Suite struct RawTextTests {
    /// Pairs that `String` considers equal.
    @Test(arguments: [("\u{E9}", "e\u{301}"), ("\u{212B}", "\u{C5}"), ("\u{212A}", "K"), ("\u{37E}", ";")])
    func canonicallyEquivalentTextsDiffer(_ one: String, _ other: String) {
        #expect(one == other)
        let (left, right) = (RawText(one), RawText(other))
        #expect(left != right && (left < right) != (right < left))
        #expect(Set([left, right, left]).count == 2)
        #expect([left: 1, right: 2][RawText(one)] == 1)
        #expect(left.string.utf8.elementsEqual(one.utf8))
    }

    @Test(arguments: [
        ("ROLLBACK", "rollback"), ("Ämter", "Ämter"), ("İ\u{212A}K", "İ\u{212A}k"), ("", ""), ("ß1Z", "ß1z"),
    ])
    func onlyASCIIIsFolded(_ text: String, _ folded: String) {
        #expect(RawText(text).foldedASCII == RawText(folded))
    }

    @Test func prefixesEndBetweenScalars() {
        #expect(RawText("aé").prefix(2) == "a" && RawText("aé").prefix(3) == "aé")
        #expect(RawText("\u{1F469}").prefix(3) == "" && RawText("abc").prefix(9) == "abc")
        #expect(RawText("sqlite_x").hasPrefix("sqlite_") && !RawText("sqlite").hasPrefix("sqlite_"))
        // A letter and its accent are one Swift character, which hides the letter.
        #expect(RawText("x\u{301}").hasPrefix("x"))
    }

    @Test func quotedTextIsPrintableASCII() {
        #expect(RawText("a\"\\\u{E9}\n").quoted() == #""a\x22\x5c\xc3\xa9\x0a""#)
        #expect(RawText("abcdef").quoted(3) == "\"abc\"…")
    }
}

/// Words of grammars are compared without regard to the case of ASCII letters.
@Suite struct ASCIITests {
    private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        Array(text.utf8).withUnsafeBytes(body)
    }

    @Test func caseOfLettersIsIgnored() {
        #expect(bytes("ChUnKed") { $0.equalsIgnoringCase("chunked") })
        #expect(bytes("varCHAR(3)") { $0.containsIgnoringCase("char") && $0.hasPrefixIgnoringCase("varc") })
        #expect(!bytes("chunke") { $0.equalsIgnoringCase("chunked") || $0.containsIgnoringCase("chunked") })
        // Bytes that differ in the same bit but are not letters, and letters that Unicode maps to ASCII.
        #expect(!bytes("\u{40}") { $0.equalsIgnoringCase("\u{60}") })
        #expect(!bytes("\u{131}nt") { $0.containsIgnoringCase("int") })
        #expect(!bytes("\u{212A}") { $0.containsIgnoringCase("k") })
    }
}
