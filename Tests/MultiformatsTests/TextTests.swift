import Bytes
import Collections
import Multiformats
import TestSupport
import Testing

@Suite struct TextTests {
    @Test func hexIsWrittenInLowerCaseAndReadInBoth() throws {
        #expect(Hex.encode([0x00, 0x9A, 0xFF]) == "009aff")
        #expect(try Hex.decode("009AfF") == [0x00, 0x9A, 0xFF])
        #expect(try Hex.decode("") == [])
    }

    @Test(arguments: ["0", "0g", "0x00", " 00", "00 ", "é0", "00\u{0}"])
    func badHexIsRefused(_ text: String) {
        #expect(throws: BytesError.self) { try Hex.decode(text) }
    }

    /// The test vectors of the base58 Internet-Draft and of Bitcoin's base58 tests.
    @Test(arguments: [
        ("Hello World!", "2NEpo7TZRRrLZSi2U"),
        (
            "The quick brown fox jumps over the lazy dog.",
            "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"
        ),
        ("", ""), ("\u{0}\u{0}\u{0}", "111"), ("a", "2g"), ("bbb", "a3gV"),
    ])
    func base58KnownAnswers(_ plain: String, _ text: String) throws {
        #expect(Base58.encode(Array(plain.utf8)) == text)
        #expect(try Base58.decode(text) == Array(plain.utf8))
    }

    @Test func leadingZerosAreKept() throws {
        let bytes: [UInt8] = [0x00, 0x00, 0x28, 0x7F, 0xB4, 0xCD]
        #expect(Base58.encode(bytes) == "11233QC4")
        #expect(try Base58.decode("11233QC4") == bytes)
    }

    @Test func generatedValuesSurvive() throws {
        var random = SeededGenerator(seed: 58)
        for _ in 0..<500 {
            let zeros = [UInt8](repeating: 0, count: Int.random(in: 0...3, using: &random))
            let bytes = zeros + random.bytes(Int.random(in: 0...60, using: &random))
            #expect(try Base58.decode(Base58.encode(bytes)) == bytes)
            #expect(try Hex.decode(Hex.encode(bytes)) == bytes)
        }
    }

    @Test(arguments: ["0", "O", "I", "l", "2g ", "é", "a\u{0}b"])
    func badBase58IsRefused(_ text: String) {
        #expect(throws: BytesError.invalid("base58")) { try Base58.decode(text) }
    }

    @Test func longBase58IsRefused() {
        let text = String(repeating: "z", count: Base58.textLimit + 1)
        #expect(throws: BytesError.tooLarge(129, limit: 128)) { try Base58.decode(text) }
    }

    @Test(arguments: [
        ("0s", Duration.zero, "0s"), ("0", .zero, "0s"), ("500ms", .milliseconds(500), "500ms"),
        ("1m0s", .seconds(60), "1m"), ("2h45m", .seconds(9900), "165m"),
        ("168h0m0s", .seconds(604_800), "168h"),
        ("1500ms", .milliseconds(1500), "1500ms"), ("3us", .microseconds(3), "3us"),
        ("1µs1ns", .nanoseconds(1001), "1001ns"),
    ])
    func durations(_ text: String, _ duration: Duration, _ shortest: String) {
        #expect(DurationText.parse(text) == duration)
        #expect(DurationText.format(duration) == shortest)
    }

    @Test(arguments: [
        "", "s", "5", "-1s", "1.5s", "1d", "99999999999999999999s", "9999999999h", "1s ", "1 s",
    ])
    func badDurations(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }
}
