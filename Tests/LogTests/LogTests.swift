import Collections
import Glibc
import TestSupport
import Testing

@testable import Log

@Suite struct LogTests {
    @Test func belowTheLevelNothingIsBuilt() {
        let events = Events()
        let log = Log(source: "test", level: .warning, sink: events)
        var built = 0
        func fields() -> LogFields {
            built += 1
            return ["n": .number(built)]
        }
        log.trace("a", fields())
        log.debug("b", fields())
        log.info("c", fields())
        #expect(built == 0)
        log.warning("d", fields())
        log.error("e", fields())
        log.critical("f", fields())
        #expect(built == 3)
        #expect(events.all.map(\.level) == [.warning, .error, .critical])
        #expect(events.all.map { "\($0.message)" } == ["d", "e", "f"])

        Log.silent.critical("g", fields())
        #expect(built == 3)
        #expect(Log.Level.allCases.allSatisfy { !Log.silent.takes($0) })
    }

    @Test func theLevelOfALogAndItsPartsChanges() {
        let events = Events()
        let log = Log(source: "node", level: .info, sink: events)
        let part = log.of("part")
        part.debug("a")
        log.setLevel(.debug)
        part.debug("b")
        part.setLevel(.error)
        log.warning("c")
        #expect(events.all.map { "\($0.message)" } == ["b"])
        Log.silent.setLevel(.trace)
        #expect(!Log.silent.takes(.critical))
    }

    @Test func sourceAndFields() {
        let events = Events()
        let log = Log(source: "node", level: .trace, sink: events).of("gossip")
        log.trace("a")
        log.trace("b", ["topic": .text("tx"), "reason": .text("c")])
        #expect(events.all.map { "\($0.source)" } == ["gossip", "gossip"])
        #expect(events.all.map { $0.fields.entries.map { "\($0.name)" } } == [[], ["topic", "reason"]])
    }
}

@Suite struct LogTimeTests {
    private func text(_ seconds: Int64, _ microseconds: Int64 = 0) -> String {
        var out: [UInt8] = []
        LogTime(seconds: seconds, microseconds: microseconds).append(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test func vectors() {
        #expect(text(0) == "1970-01-01T00:00:00.000000Z")
        #expect(text(-1, 999_999) == "1969-12-31T23:59:59.999999Z")
        #expect(text(0, -1) == "1969-12-31T23:59:59.999999Z")
        #expect(text(951_782_399, 1_000_001) == "2000-02-29T00:00:00.000001Z")
        #expect(text(1_795_809_600) == "2026-11-27T20:00:00.000000Z")
        #expect(text(253_402_300_799) == "9999-12-31T23:59:59.000000Z")
        #expect(text(.max) == "9999-12-31T23:59:59.000000Z")
        #expect(text(.min) == "0000-01-01T00:00:00.000000Z")
    }

    @Test func asTheCLibrarySays() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            var seconds = time_t.random(in: -62_167_219_200...253_402_300_799, using: &random)
            var date = tm()
            gmtime_r(&seconds, &date)
            var buffer = [CChar](repeating: 0, count: 64)
            strftime(&buffer, buffer.count, "-%m-%dT%H:%M:%S.000000Z", &date)
            let year = String(date.tm_year + 1900)
            let rest = String(
                decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(text(Int64(seconds)) == String(repeating: "0", count: 4 - year.count) + year + rest)
        }
    }

    @Test func now() {
        let before = time(nil)
        let now = LogTime.now
        #expect(now.seconds >= before && now.seconds <= time(nil))
        #expect((0..<1_000_000).contains(now.microseconds))
    }
}
