import Testing

@testable import LibP2P

/// The states of a stream, by the events that lead to them.
@Suite struct YamuxStateTests {
    typealias State = Yamux.Slot.State

    /// An event of a stream: lower case for this side's calls, upper case for the peer's frames.
    enum Event: Character {
        case announce = "a"
        case closeWrite = "w"
        case closeRead = "r"
        case reset = "x"
        /// The time limit for the peer's end passes.
        case lingerTime = "t"
        case acknowledgement = "A"
        case byte = "D"
        case finish = "F"
        case resetByPeer = "X"
    }

    /// Applies `events` to the first stream of a connection and returns the flags of the frames sent.
    private static func run(_ events: String, on mux: inout Yamux, _ id: UInt32) throws -> [UInt16] {
        mux.clearControl()
        var now = Duration.zero
        for character in events {
            switch try #require(Event(rawValue: character)) {
            case .announce: mux.announce(0)
            case .closeWrite: _ = mux.closeWrite(0, now: now)
            case .closeRead: _ = mux.closeRead(0, now: now)
            case .reset: mux.reset(0)
            case .lingerTime:
                now += mux.limits.lingerTime
                try mux.tick(now: now) { _ in }
            case .acknowledgement: _ = try YamuxTests.feed(&mux, YamuxTests.frame(1, 2, id, 0), now: now)
            case .byte: _ = try YamuxTests.feed(&mux, YamuxTests.frame(0, 0, id, 1, body: 1), now: now)
            case .finish: _ = try YamuxTests.feed(&mux, YamuxTests.frame(1, 4, id, 0), now: now)
            case .resetByPeer: _ = try YamuxTests.feed(&mux, YamuxTests.frame(1, 8, id, 0), now: now)
            }
        }
        return stride(from: 0, to: mux.control.count, by: YamuxHeader.size).map {
            UInt16(mux.control[$0 + 2]) << 8 | UInt16(mux.control[$0 + 3])
        }
    }

    /// A state of nil means that the stream has no slot any more.
    static let rows: [(String, State?, sent: [UInt16])] = [
        ("", .open(isRead: true), []),
        ("D", .open(isRead: true), []),
        ("r", .open(isRead: false), []),
        ("rr", .open(isRead: false), []),
        ("rD", .open(isRead: false), []),
        ("Dr", .open(isRead: false), []),
        ("x", nil, [8]),
        ("X", nil, []),
        // This side ends its bytes first.
        ("w", .finished, [4]),
        ("ww", .finished, [4]),
        ("wD", .finished, [4]),
        ("wF", nil, [4]),
        ("wx", nil, [4, 8]),
        ("wX", nil, [4]),
        ("wDr", nil, [4, 8]),
        // The peer ends its bytes first.
        ("F", .peerFinished(isRead: true), []),
        ("FF", .peerFinished(isRead: true), []),
        ("DF", .peerFinished(isRead: true), []),
        ("Fr", .peerFinished(isRead: false), []),
        ("rF", .peerFinished(isRead: false), []),
        ("DFr", .peerFinished(isRead: false), []),
        ("Fw", nil, [4]),
        ("Fx", nil, [8]),
        ("FX", nil, []),
        ("Frw", nil, [4]),
        ("rFw", nil, [4]),
        ("DFw", nil, [4]),
        // This side has closed both directions, and the peer neither.
        ("wr", .lingering(since: .zero), [4]),
        ("rw", .lingering(since: .zero), [4]),
        ("Drw", .lingering(since: .zero), [4]),
        ("wrwr", .lingering(since: .zero), [4]),
        ("wrF", nil, [4]),
        ("wrX", nil, [4]),
        ("wrx", nil, [4, 8]),
        ("wrD", nil, [4, 8]),
        ("wrt", nil, [4, 1, 8]),
        // Late frames of an ended stream.
        ("xD", nil, [8]),
        ("XF", nil, []),
        ("wFX", nil, [4]),
    ]

    @Test(arguments: rows)
    func endsStreamsOfThePeer(_ events: String, _ state: State?, _ sent: [UInt16]) throws {
        var mux = Yamux(.listener, now: .zero)
        // A second stream, so that the slots stay.
        _ = try YamuxTests.feed(&mux, YamuxTests.frame(1, 1, 1, 0) + YamuxTests.frame(1, 1, 3, 0))
        let flags = try Self.run(events, on: &mux, 1)
        #expect(mux.slots[0].state == state ?? .free)
        #expect(flags == sent)
        #expect(mux.inboundCount == (state == nil ? 1 : 2))
        #expect(mux.lingering == (mux.slots[0].isLingering ? 1 : 0))
        #expect(mux.unread == mux.slots[0].unread)
    }

    static let ownRows: [(String, State?, sent: [UInt16], unacknowledged: Int)] = [
        ("", .open(isRead: true), [], 2),
        ("a", .open(isRead: true), [1], 2),
        ("aa", .open(isRead: true), [1], 2),
        ("aA", .open(isRead: true), [1], 1),
        ("aAA", .open(isRead: true), [1], 1),
        // An ACK without SYN.
        ("A", .open(isRead: true), [], 2),
        ("AaA", .open(isRead: true), [1], 1),
        // A peer that does not know of the stream need not learn of its end.
        ("x", nil, [], 1),
        ("ax", nil, [1, 8], 1),
        ("w", .finished, [5], 2),
        ("aw", .finished, [1, 4], 2),
        ("wA", .finished, [5], 1),
        ("wr", .lingering(since: .zero), [5], 2),
        ("wrt", nil, [5, 1, 8], 1),
        ("aX", nil, [1], 1),
        ("aF", .peerFinished(isRead: true), [1], 2),
        ("aFw", nil, [1, 4], 1),
    ]

    @Test(arguments: ownRows)
    func opensAndEndsStreamsOfThisSide(
        _ events: String, _ state: State?, _ sent: [UInt16], _ unacknowledged: Int
    ) throws {
        var mux = Yamux(.dialer, now: .zero)
        let opened = [mux.open(now: .zero), mux.open(now: .zero)]
        #expect(opened == [.opened(slot: 0), .opened(slot: 1)])
        let flags = try Self.run(events, on: &mux, 1)
        #expect(mux.slots[0].state == state ?? .free)
        #expect(flags == sent)
        #expect(mux.unacknowledged == unacknowledged)
        #expect(mux.outboundCount == (state == nil ? 1 : 2))
    }
}
