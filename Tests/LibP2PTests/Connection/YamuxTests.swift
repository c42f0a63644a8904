import Testing

@testable import LibP2P

extension Yamux {
    /// Sends SYN without a data frame, unless it has left.
    mutating func announce(_ slot: Int) {
        let flags = opening(slot)
        if !flags.isEmpty { put(YamuxHeader(.windowUpdate, flags: flags, streamID: slots[slot].id)) }
    }
}

@Suite struct YamuxTests {
    /// Returns a frame's bytes.
    static func frame(
        _ kind: UInt8, _ flags: UInt16, _ id: UInt32, _ length: UInt32, body: Int = 0, version: UInt8 = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = [version, kind]
        withUnsafeBytes(of: flags.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: id.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: length.bigEndian) { bytes.append(contentsOf: $0) }
        return bytes + [UInt8](repeating: 7, count: body)
    }

    /// Feeds bytes to a machine and returns its events, one word each.
    static func feed(
        _ mux: inout Yamux, _ bytes: [UInt8], now: Duration = .zero
    ) throws(YamuxError) -> [String] {
        var events: [String] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        var input = UnsafeRawBufferPointer(rebasing: buffer[..<bytes.count])
        while let event = try mux.next(&input, now: now) {
            switch event {
            case .opened(let slot): events.append("opened \(slot)")
            case .data(let slot, let bytes): events.append("data \(slot) \(bytes.count)")
            case .finished(let slot, let gone): events.append("finished \(slot) \(gone)")
            case .reset(let slot): events.append("reset \(slot)")
            case .writable(let slot): events.append("writable \(slot)")
            case .acknowledged(let slot): events.append("acknowledged \(slot)")
            case .pong: events.append("pong")
            case .goAway(let code): events.append("goAway \(code)")
            }
        }
        return events
    }

    /// Returns the error that bytes cause.
    private static func failure(_ mux: inout Yamux, _ bytes: [UInt8]) -> YamuxError? {
        do throws(YamuxError) {
            _ = try feed(&mux, bytes)
            return nil
        } catch {
            return error
        }
    }

    private static func tick(_ mux: inout Yamux, _ now: Duration) -> YamuxError? {
        do throws(YamuxError) {
            try mux.tick(now: now) { _ in }
            return nil
        } catch {
            return error
        }
    }

    @Test(
        arguments: [
            (frame(0, 1, 1, 0, version: 1), YamuxError.unknownVersion(1)),
            (frame(4, 0, 1, 0), .unknownType(4)),
            (frame(0, 0x10, 1, 0), .badFlags(0x10)),
            (frame(0, 3, 1, 0), .badFlags(3)),
            (frame(0, 1, 0, 0), .badStreamID(0)),
            (frame(0, 1, 2, 0), .badStreamID(2)),
            (frame(0, 0, 1, 0), .unknownStream(1)),
            (frame(1, 0, 2, 5), .unknownStream(2)),
            (frame(0, 1, 1, 0) + frame(0, 1, 1, 0), .duplicateStream(1)),
            (frame(0, 1, 1, 262_145), .windowExceeded(1)),
            (frame(0, 1, 1, 0) + frame(0, 0, 1, 262_145), .windowExceeded(1)),
            (frame(0, 5, 1, 0) + frame(0, 0, 1, 1, body: 1), .dataAfterFinish(1)),
            (frame(1, 1, 1, .max), .windowOverflow(1)),
            (frame(2, 0, 0, 1), .badFlags(0)),
            (frame(2, 1, 3, 1), .badStreamID(3)),
            (frame(3, 1, 0, 0), .badFlags(1)),
            (frame(3, 0, 9, 0), .badStreamID(9)),
        ] as [([UInt8], YamuxError)])
    func refusesBrokenRules(bytes: [UInt8], error: YamuxError) {
        var mux = Yamux(.listener, now: .zero)
        let found = Self.failure(&mux, bytes)
        #expect(found == error)
    }

    @Test func reportsAStreamsLife() throws {
        var mux = Yamux(.listener, now: .zero)
        let events = try Self.feed(&mux, Self.frame(0, 1, 1, 3, body: 3))
        #expect(events == ["opened 0", "data 0 3"])
        #expect(mux.control == Self.frame(1, 2, 1, 0))
        #expect(mux.unread == 3)
        mux.consumed(0, 3, now: .zero)
        #expect(mux.unread == 0)
        do {
            let found = try Self.feed(&mux, Self.frame(1, 4, 1, 0))
            #expect(found == ["finished 0 false"])
        }
        let isGone = mux.closeWrite(0, now: .zero)
        #expect(isGone && mux.streamCount == 0)
        do {
            let found = try Self.feed(&mux, Self.frame(0, 0, 1, 2, body: 2))
            #expect(found == [])
        }
    }

    @Test func takesBytesInAnyPieces() throws {
        let bytes =
            Self.frame(0, 1, 1, 9, body: 9) + Self.frame(2, 1, 0, 5) + Self.frame(0, 4, 1, 2, body: 2)
            + Self.frame(3, 0, 0, 0)
        for size in 1...bytes.count {
            var mux = Yamux(.listener, now: .zero)
            var data = 0
            var others: [String] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                for event in try Self.feed(&mux, Array(bytes[start..<min(start + size, bytes.count)])) {
                    let words = event.split(separator: " ")
                    if words[0] == "data" { data += Int(words[2]) ?? 0 } else { others.append(event) }
                }
            }
            #expect(data == 11)
            #expect(others == ["opened 0", "finished 0 false", "goAway 0"])
            #expect(mux.control == Self.frame(1, 2, 1, 0) + Self.frame(2, 2, 0, 5))
        }
    }

    @Test func limitsStreamsOfThePeerAndItsOwnBacklog() throws {
        var limits = YamuxLimits()
        limits.inboundStreams = 2
        limits.unacknowledgedStreams = 1
        var mux = Yamux(.listener, limits: limits, now: .zero)
        let frames = Self.frame(1, 1, 1, 0) + Self.frame(1, 1, 3, 0) + Self.frame(0, 1, 5, 4, body: 4)
        do {
            let found = try Self.feed(&mux, frames)
            #expect(found == ["opened 0", "opened 1"])
        }
        #expect(mux.control.suffix(12) == Self.frame(1, 8, 5, 0)[...])
        let own = mux.open(now: .zero)
        #expect(own == .opened(slot: 2))
        let refused = mux.open(now: .zero)
        #expect(refused == .backlogFull)
        mux.announce(2)
        do {
            let found = try Self.feed(&mux, Self.frame(1, 2, 2, 0))
            #expect(found == ["acknowledged 2"])
        }
        let next = mux.open(now: .zero)
        #expect(next == .opened(slot: 3))
    }

    /// Frames that are cheap to send and expensive to handle cost credit; content and answers to frames sent do not.
    @Test(
        arguments: [
            (frame(1, 1, 1, 0) + frame(1, 8, 1, 0), 40), (frame(2, 1, 0, 7), 8), (frame(0, 1, 1, 0), 36),
            (frame(0, 1, 1, 1, body: 1), 33), (frame(0, 1, 1, 1_024, body: 1_024), 32),
            (frame(0, 1, 1, 0) + frame(1, 0, 1, 5), 40), (frame(3, 0, 0, 0), 32),
            // Content that is never read.
            (frame(0, 1, 1, 4_096, body: 4_096) + frame(1, 8, 1, 0), 40),
        ] as [([UInt8], Int)])
    func messagesWithoutContentCost(bytes: [UInt8], cost: Int) throws {
        var mux = Yamux(.listener, now: .zero)
        _ = try Self.feed(&mux, bytes)
        #expect(mux.cost == cost)
    }

    @Test func whatIsAskedForIsPaidFor() throws {
        var mux = Yamux(.listener, now: .zero)
        guard case .opened(let slot) = mux.open(now: .zero) else { return }
        _ = mux.dataHeader(slot, count: 40)
        #expect(mux.cost == -36)
        _ = try Self.feed(&mux, Self.frame(0, 2, 2, 30, body: 30) + Self.frame(1, 0, 2, 9))
        #expect(mux.cost == -31)
    }

    @Test func windowGrowsForAFastReaderWithinItsBounds() throws {
        var limits = YamuxLimits()
        limits.maximumWindow = 1 << 20
        limits.windowGrowth = 1 << 20
        var mux = Yamux(.listener, limits: limits, now: .zero)
        mux.ping(now: .zero)
        do {
            let found = try Self.feed(&mux, Self.frame(2, 2, 0, 1), now: .milliseconds(10))
            #expect(found == ["pong"])
        }
        #expect(mux.roundTrip == .milliseconds(10))
        _ = try Self.feed(&mux, Self.frame(0, 1, 1, 0), now: .milliseconds(10))
        for step in 11..<30 {
            let count = mux.slots[0].receiveWindow
            let now = Duration.milliseconds(step)
            _ = try Self.feed(&mux, Self.frame(0, 0, 1, UInt32(count), body: count), now: now)
            mux.consumed(0, count, now: now)
        }
        #expect(mux.slots[0].receiveWindow == 1 << 20)
        #expect(mux.growth == 768 << 10)
        mux.reset(0)
        #expect(mux.growth == 0)
    }

    @Test func slowReaderHoldsNoMoreThanItsWindow() throws {
        var mux = Yamux(.listener, now: .zero)
        _ = try Self.feed(&mux, Self.frame(0, 1, 1, 262_144, body: 262_144))
        #expect(mux.unread == 262_144)
        let found = Self.failure(&mux, Self.frame(0, 0, 1, 1, body: 1))
        #expect(found == .windowExceeded(1))
    }

    @Test func keepsAliveAndGivesUp() throws {
        var mux = Yamux(.dialer, now: .zero)
        do {
            let found = Self.tick(&mux, .seconds(29))
            #expect(found == nil)
        }
        #expect(mux.control.isEmpty)
        do {
            let found = Self.tick(&mux, .seconds(30))
            #expect(found == nil)
        }
        #expect(mux.control == Self.frame(2, 1, 0, 1))
        let found = Self.tick(&mux, .seconds(60))
        #expect(found == .keepAliveTimeout)
    }

    @Test func resetsStreamsWhosePeerDoesNotEndThem() throws {
        var mux = Yamux(.listener, now: .zero)
        _ = try Self.feed(&mux, Self.frame(0, 1, 1, 0))
        let isGone = [mux.closeWrite(0, now: .zero), mux.closeRead(0, now: .zero)]
        #expect(isGone == [false, false])
        mux.clearControl()
        var gone: [Int] = []
        try mux.tick(now: .seconds(30)) { gone.append($0) }
        #expect(gone == [0])
        #expect(mux.control.prefix(12) == Self.frame(2, 1, 0, 1)[...])
        #expect(mux.control.suffix(12) == Self.frame(1, 8, 1, 0)[...])
    }

    /// Two machines talk to each other under schedules from seeds: all bytes sent arrive in order, and both end empty.
    @Test(arguments: 1...20) func twoMachinesAgree(seed: UInt64) throws {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        func random(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        var ends = [Yamux(.dialer, now: .zero), Yamux(.listener, now: .zero)]
        var wires: [[UInt8]] = [[], []]
        var sent: [[UInt32: Int]] = [[:], [:]]
        var received: [[UInt32: Int]] = [[:], [:]]
        var live: [Set<Int>] = [[], []]
        var now = Duration.zero
        func run(_ end: Int, _ bytes: [UInt8]) throws {
            for event in try Self.feed(&ends[end], bytes, now: now) {
                let words = event.split(separator: " ")
                let slot = words.count > 1 ? Int(words[1]) ?? 0 : 0
                switch words[0] {
                case "opened": live[end].insert(slot)
                case "data":
                    let count = Int(words[2]) ?? 0
                    received[end][ends[end].slots[slot].id, default: 0] += count
                    ends[end].consumed(slot, count, now: now)
                case "finished": if words[2] == "true" { live[end].remove(slot) }
                case "reset": live[end].remove(slot)
                default: break
                }
            }
        }
        func deliver(_ end: Int, _ count: Int) throws {
            wires[end] += ends[end].control
            ends[end].clearControl()
            let piece = Array(wires[end].prefix(count))
            wires[end].removeFirst(piece.count)
            // The test acts on events only after the piece, so a piece holds at most one frame.
            try run(1 - end, piece)
        }
        for step in 0..<600 {
            now += .microseconds(random(500))
            let end = random(2)
            let slots = live[end].sorted()
            switch random(6) {
            case 0 where step < 500:
                if case .opened(let slot) = ends[end].open(now: now) { live[end].insert(slot) }
            case 1, 2:
                guard let slot = slots.isEmpty ? nil : slots[random(slots.count)] else { continue }
                let count = min(ends[end].sendWindow(slot), 1 + random(200))
                guard count > 0 else { continue }
                wires[end] += ends[end].control
                ends[end].clearControl()
                let header = ends[end].dataHeader(slot, count: count)
                sent[end][header.streamID, default: 0] += count
                wires[end] += Self.frame(
                    header.kind.rawValue, header.flags.rawValue, header.streamID, header.length, body: count)
            case 3 where random(8) == 0:
                guard let slot = slots.isEmpty ? nil : slots[random(slots.count)] else { continue }
                if ends[end].closeWrite(slot, now: now) { live[end].remove(slot) }
            default: try deliver(end, 1 + random(11))
            }
        }
        for end in 0...1 {
            for slot in live[end].sorted() where ends[end].closeWrite(slot, now: now) {
                live[end].remove(slot)
            }
        }
        while !(wires[0].isEmpty && wires[1].isEmpty && ends[0].control.isEmpty && ends[1].control.isEmpty) {
            for end in 0...1 {
                try deliver(end, 11)
                for slot in live[end].sorted() where ends[end].closeWrite(slot, now: now) {
                    live[end].remove(slot)
                }
            }
        }
        for end in 0...1 {
            #expect(received[1 - end] == sent[end])
            #expect(ends[end].streamCount == 0)
            #expect(ends[end].unread == 0)
        }
    }
}
