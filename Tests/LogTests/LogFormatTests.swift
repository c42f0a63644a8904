import Collections
import Glibc
import TestSupport
import Testing

@testable import Log

@Suite struct LogFormatTests {
    @Test func text() {
        #expect(
            LogFormat.text.line(["peer": .text("12D3"), "height": .number(7), "inbound": .flag(true)])
                == "2026-11-27T20:00:00.000001Z info node: peer connected peer=12D3 height=7 inbound=true\n")
        #expect(
            LogFormat.text.line(["a": .text("x y"), "b": .text(""), "c": .text(#"k="v""#), "d": .text("\\")])
                == #"2026-11-27T20:00:00.000001Z info node: peer connected a="x y" b="" c="k=\"v\"" d=\\"#
                + "\n")
    }

    /// An agent version that forged a line and cleared the screen.
    @Test func hostileTextStaysOnItsLine() {
        let agent = "x \u{1b}[2J\r\n20:00:00.000 critical node: consensus stopped"
        #expect(
            LogFormat.text.line(["agent": .text(agent)])
                == "2026-11-27T20:00:00.000001Z info node: peer connected "
                + #"agent="x \x1b[2J\r\n20:00:00.000 critical node: consensus stopped""# + "\n")
        #expect(
            LogFormat.json.line(["agent": .text(agent)])
                == #"{"time":"2026-11-27T20:00:00.000001Z","level":"info","source":"node","#
                + #""message":"peer connected","#
                + #""data.agent":"x \\x1b[2J\\r\\n20:00:00.000 critical node: consensus stopped"}"# + "\n")
    }

    @Test func json() {
        #expect(
            LogFormat.json.line([
                "n": .integer(.min), "u": .unsigned(.max), "f": .flag(false), "q": .text(#"""#),
                "b": .bytes([0xFF]),
            ])
                == #"{"time":"2026-11-27T20:00:00.000001Z","level":"info","source":"node","#
                + #""message":"peer connected","data.n":-9223372036854775808,"#
                + #""data.u":18446744073709551615,"data.f":false,"data.q":"\"","data.b":"\\xff"}"# + "\n")
    }

    /// Any bytes can be recovered from all three formats and never produce more than one line in the first
    /// two.
    @Test func bytesComeBack() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2_000 {
            let bytes = EscapedTextTests.bytes(&random)
            let text = LogFormat.text.bytes(["x": .bytes(bytes), "y": .number(1)])
            let start = LogFormat.text.bytes([:]).count - 1 + " x=".utf8.count
            #expect(text.firstIndex(of: 10) == text.count - 1)
            #expect(
                Self.unquoted(text[start..<text.count - " y=1\n".utf8.count]).flatMap {
                    EscapedTextTests.original(of: $0)
                } == bytes)

            let json = LogFormat.json.bytes(["x": .bytes(bytes)])
            let prefix = LogFormat.json.bytes([:]).count - 2 + #","data.x":"#.utf8.count
            #expect(json.firstIndex(of: 10) == json.count - 1)
            #expect(json.allSatisfy { $0 >= 0x20 || $0 == 10 })
            #expect(
                Self.unquoted(json[prefix..<json.count - 2], alsoBackslash: true).flatMap {
                    EscapedTextTests.original(of: $0)
                } == bytes)

            let entry = try #require(Self.entry(LogFormat.journal.bytes(["x": .bytes(bytes)])))
            #expect(entry["APUS_X"] == bytes)
        }
    }

    @Test func journal() throws {
        let entry = try #require(
            Self.entry(
                LogFormat.journal.bytes(
                    ["app_hash": .text("aB"), "two-words": .text("a\nb=c")], level: .warning)))
        #expect(
            entry.mapValues { String(decoding: $0, as: UTF8.self) } == [
                "MESSAGE": #"peer connected app_hash=aB two-words="a\nb=c""#, "PRIORITY": "4",
                "SYSLOG_IDENTIFIER": "apus", "SYSLOG_TIMESTAMP": "2026-11-27T20:00:00.000001Z",
                "APUS_SOURCE": "node", "APUS_APP_HASH": "aB", "APUS_TWO_WORDS": "a\nb=c",
            ])
        let long: StaticString =
            "a_name_that_is_longer_than_the_journal_would_ever_take_for_one_of_its_fields"
        let name = try #require(
            Self.entry(LogFormat.journal.bytes([long: .number(1)]))?.keys.first { $0.hasPrefix("APUS_A") })
        #expect(name.utf8.count == 64)
        let priorities = Log.Level.allCases.map { level in
            Self.entry(LogFormat.journal.bytes([:], level: level))?["PRIORITY"].map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        #expect(priorities == ["7", "7", "6", "4", "3", "2"])
    }

    @Test func longValuesAreCutOff() {
        let line = LogFormat.text.line(["x": .text(String(repeating: "a", count: 5_000))])
        #expect(line.utf8.count < 4_300)
        #expect(line.hasSuffix("aaa\\...(5000 bytes)\"\n"))
        #expect(!LogFormat.text.line(["x": .text(String(repeating: "a", count: 4_096))]).contains("..."))
    }

    @Test func journalOnlyWhereSystemdHasConnectedIt() {
        let pipe = Pipe()
        var status = stat()
        fstat(pipe.writer, &status)
        let here = "\(status.st_dev):\(status.st_ino)"
        func suited(
            _ descriptor: Int32, _ journal: String?, socket: String = "/dev/null"
        ) -> LogFormat { .suited(to: descriptor, journal: journal, socket: socket) }
        #expect(suited(pipe.writer, here) == .journal)
        #expect(suited(pipe.writer, here + "0") == .json)
        #expect(suited(pipe.writer, nil) == .json)
        #expect(suited(-1, here) == .json)
        #expect(suited(pipe.writer, here, socket: "/nonexistent/socket") == .json)
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        defer { close(terminal) }
        #expect(suited(terminal, here) == .text)
    }

    /// Numbers beyond 64 bits are clamped.
    @Test func numbers() {
        #expect(LogFormat.text.line(["n": .number(-1)]).hasSuffix(" n=-1\n"))
        #expect(LogFormat.text.line(["n": .number(UInt64.max)]).hasSuffix(" n=18446744073709551615\n"))
        #expect(LogFormat.text.line(["n": .number(Int128.max)]).hasSuffix(" n=18446744073709551615\n"))
        #expect(LogFormat.text.line(["n": .number(Int128.min)]).hasSuffix(" n=-9223372036854775808\n"))
    }

    /// Returns the fields of an entry in the journal's native protocol, or nil if it is malformed.
    static func entry(_ bytes: [UInt8]) -> [String: [UInt8]]? {
        var (fields, rest) = ([String: [UInt8]](), bytes[...])
        while !rest.isEmpty {
            let name = rest.prefix { $0 != UInt8(ascii: "=") && $0 != 10 }
            rest = rest.dropFirst(name.count)
            let value: ArraySlice<UInt8>
            if rest.popFirst() == 10 {
                guard rest.count >= 8 else { return nil }
                let size = rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
                rest = rest.dropFirst(8)
                guard size < UInt64(rest.count) else { return nil }
                value = rest.prefix(Int(size))
            } else {
                value = rest.prefix { $0 != 10 }
            }
            rest = rest.dropFirst(value.count)
            guard rest.popFirst() == 10, !name.isEmpty, name.first != UInt8(ascii: "_"), name.count <= 64,
                name.allSatisfy({
                    (48...57).contains($0) || (65...90).contains($0) || $0 == UInt8(ascii: "_")
                })
            else { return nil }
            fields[String(decoding: name, as: UTF8.self)] = Array(value)
        }
        return fields
    }

    /// Returns a value without its quotes, if it has any, and without the backslashes before quotes.
    private static func unquoted(_ value: ArraySlice<UInt8>, alsoBackslash: Bool = false) -> [UInt8]? {
        let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
        guard value.first == quote else {
            return value.isEmpty || value.contains { [quote, 0x20, UInt8(ascii: "=")].contains($0) }
                ? nil : Array(value)
        }
        guard value.count > 1, value.last == quote else { return nil }
        var (out, rest) = ([UInt8](), value.dropFirst().dropLast())
        while let byte = rest.popFirst() {
            guard byte != quote else { return nil }
            guard byte == backslash, let next = rest.first else {
                out.append(byte)
                continue
            }
            if next == quote || alsoBackslash && next == backslash {
                out.append(next)
            } else if alsoBackslash {
                return nil
            } else {
                out += [byte, next]
            }
            rest.removeFirst()
        }
        return out
    }
}
