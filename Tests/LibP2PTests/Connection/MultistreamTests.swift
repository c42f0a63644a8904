import Testing

@testable import LibP2P

@Suite struct MultistreamTests {
    private static let header = token("/multistream/1.0.0")

    private static func token(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        MultistreamToken.append(text, to: &bytes)
        return bytes
    }

    private static func tokens(_ texts: String...) -> [UInt8] {
        texts.flatMap { token($0) }
    }

    /// Feeds bytes to a machine in one piece.
    private func dial(_ dialer: inout MultistreamDialer, _ bytes: [UInt8]) throws(LibP2PError)
        -> UpgradeStep<ProtocolID>
    {
        try bytes.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in try dialer.receive(raw) }
    }

    private func listen(
        _ listener: inout MultistreamListener, _ bytes: [UInt8], _ protocols: [ProtocolID]
    ) throws(LibP2PError) -> UpgradeStep<ProtocolID> {
        try bytes.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in
            try listener.receive(raw, protocols: protocols)
        }
    }

    @Test func tokensAreFramedAsSpecified() {
        #expect(Self.token("na") == [3, UInt8(ascii: "n"), UInt8(ascii: "a"), 10])
        #expect(Self.token(String(repeating: "a", count: 127)).prefix(2) == [0x80, 1])
    }

    // MARK: Dialer

    @Test func dialerOpensWithHeaderAndFirstOffer() {
        #expect(MultistreamDialer(["/a", "/b"]).start() == Self.tokens("/multistream/1.0.0", "/a"))
        #expect(MultistreamDialer(["/a"]).mayWriteEarly)
        #expect(!MultistreamDialer(["/a", "/b"]).mayWriteEarly)
    }

    @Test func dialerTakesConfirmationAndLeavesTheRest() throws {
        var dialer = MultistreamDialer(["/a"])
        let step = try dial(&dialer, Self.tokens("/multistream/1.0.0", "/a") + [1, 2, 3])
        #expect(step.outcome == "/a")
        #expect(step.output == [])
        #expect(step.consumed == Self.tokens("/multistream/1.0.0", "/a").count)
    }

    @Test func dialerOffersTheNextWhenDeclined() throws {
        var dialer = MultistreamDialer(["/a", "/b"])
        var step = try dial(&dialer, Self.tokens("/multistream/1.0.0", "na"))
        #expect(step.output == Self.token("/b"))
        #expect(step.outcome == nil)
        step = try dial(&dialer, Self.token("/b"))
        #expect(step.outcome == "/b")
    }

    @Test func dialerGivesUpWhenAllIsDeclined() throws {
        var dialer = MultistreamDialer(["/a", "/b"])
        _ = try dial(&dialer, Self.tokens("/multistream/1.0.0", "na"))
        #expect(throws: LibP2PError.protocolNotSupported(["/a", "/b"])) {
            try dial(&dialer, Self.token("na"))
        }
        var empty = MultistreamDialer([])
        #expect(throws: LibP2PError.protocolNotSupported([])) {
            try dial(&empty, Self.tokens("/multistream/1.0.0", "na"))
        }
    }

    @Test(arguments: [
        tokens("/multistream/2.0.0"),
        tokens("/multistream/1.0.0", "/b"),
        tokens("/a"),
        [0],
        [1, 0x41],
        [2, 0x41, 0x42],
        [0x80, 0x00],
    ]) func dialerRefuses(_ bytes: [UInt8]) {
        var dialer = MultistreamDialer(["/a"])
        #expect {
            try dial(&dialer, bytes)
        } throws: { error in
            guard case LibP2PError.malformed = error else { return false }
            return true
        }
    }

    @Test func tokensBeyondTheLimitAreRefusedByTheirLength() throws {
        for bytes: [UInt8] in [[0x81, 0x08], [0xff, 0xff], [0x80, 0x80]] {
            var dialer = MultistreamDialer(["/a"])
            #expect(throws: LibP2PError.tooLarge("negotiation token")) { try dial(&dialer, bytes) }
            var listener = MultistreamListener()
            #expect(throws: LibP2PError.tooLarge("negotiation token")) {
                try listen(&listener, bytes, ["/a"])
            }
        }
        // The longest token allowed: 1,023 bytes and the line feed.
        var listener = MultistreamListener()
        let step = try listen(
            &listener, Self.header + Self.token(String(repeating: "x", count: 1023)), ["/a"])
        #expect(step.output == Self.tokens("/multistream/1.0.0", "na"))
    }

    // MARK: Listener

    @Test func listenerAnswersTheHeaderAtOnce() throws {
        var listener = MultistreamListener()
        let step = try listen(&listener, Self.header, ["/a"])
        #expect(step.output == Self.header)
        #expect(step.outcome == nil)
    }

    @Test func listenerTakesAnOptimisticDialersBytes() throws {
        var listener = MultistreamListener()
        let opening = Self.tokens("/multistream/1.0.0", "/b")
        let step = try listen(&listener, opening + Array("request".utf8), ["/a", "/b"])
        #expect(step.outcome == "/b")
        #expect(step.output == opening)
        #expect(step.consumed == opening.count)
    }

    @Test func listenerDeclinesAndListsAndGoesOn() throws {
        var listener = MultistreamListener()
        var step = try listen(&listener, Self.tokens("/multistream/1.0.0", "/x", "ls"), ["/a", "/b"])
        let list = Self.tokens("/a", "/b")
        #expect(
            step.output == Self.tokens("/multistream/1.0.0", "na") + [UInt8(list.count + 1)] + list + [10])
        #expect(step.outcome == nil)
        step = try listen(&listener, Self.token("/a"), ["/a", "/b"])
        #expect(step.outcome == "/a")
        #expect(step.output == Self.token("/a"))
    }

    @Test func listenerEndsAGuessingGame() throws {
        var listener = MultistreamListener()
        _ = try listen(&listener, Self.header, ["/a"])
        for _ in 1..<MultistreamListener.maximumTokens {
            _ = try listen(&listener, Self.token("/x"), ["/a"])
        }
        #expect(throws: LibP2PError.tooLarge("negotiation")) {
            try listen(&listener, Self.token("/x"), ["/a"])
        }
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: 80),
        tokens("/a"), [0x16, 0x03, 0x01], [0], [1, 10, 10],
    ]) func listenerRefusesGarbage(_ bytes: [UInt8]) {
        var listener = MultistreamListener()
        #expect(throws: LibP2PError.self) {
            let step = try listen(&listener, bytes, ["/a"])
            // An incomplete token is not an error yet, but must not cause an answer or become valid.
            #expect(step.output == [] && step.outcome == nil)
            _ = try listen(&listener, [UInt8](repeating: 0x20, count: 128), ["/a"])
        }
    }

    // MARK: Both

    @Test(arguments: [["/a"], ["/x", "/a"], ["/x", "/y", "/z", "/b"]] as [[ProtocolID]])
    func machinesAgreeByteByByte(_ offers: [ProtocolID]) throws {
        var dialer = MultistreamDialer(offers)
        var listener = MultistreamListener()
        var toListener = dialer.start()
        var toDialer: [UInt8] = []
        var chosen: (ProtocolID?, ProtocolID?)
        while chosen.0 == nil || chosen.1 == nil {
            guard !toListener.isEmpty || !toDialer.isEmpty else {
                Issue.record("both wait")
                return
            }
            if !toListener.isEmpty {
                let step = try listen(&listener, [toListener.removeFirst()], ["/a", "/b"])
                toDialer += step.output
                chosen.0 = step.outcome
            }
            if !toDialer.isEmpty {
                let step = try dial(&dialer, [toDialer.removeFirst()])
                toListener += step.output
                chosen.1 = step.outcome
            }
        }
        #expect(chosen.0 == offers.last && chosen.1 == offers.last)
        #expect(toListener.isEmpty && toDialer.isEmpty)
    }

    /// Canonically equivalent identifiers differ: the Kelvin sign is not a K.
    @Test func identifiersAreBytes() {
        for (one, other) in [("/\u{212A}wil/1", "/Kwil/1"), ("/\u{E9}", "/e\u{301}")] {
            let ids = [ProtocolID(one), ProtocolID(other)]
            #expect(ids[0] != ids[1] && Set(ids).count == 2 && (ids[0] < ids[1]) != (ids[1] < ids[0]))
            #expect(ids[0] == ProtocolID(one))
        }
    }
}
