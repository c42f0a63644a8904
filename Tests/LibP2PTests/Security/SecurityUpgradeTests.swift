import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct SecurityUpgradeTests {
    /// One side of an upgrade under test.
    private final class Side {
        let key: PrivateKey
        let upgrade: SecurityUpgrade
        var outcome: SecurityUpgrade.Outcome?
        var output: [UInt8] = []

        init(
            dialing: Bool, _ type: KeyType = .ed25519, key: PrivateKey? = nil, expecting: PeerID? = nil,
            protocols: [ProtocolID] = [.noise], muxers: [ProtocolID] = [.yamux], early: Bool = true,
            chainID: String = ""
        ) throws {
            self.key = try key ?? .generate(type)
            let staticKey = try NoiseKeyPair.generate()
            var configuration = SecurityUpgrade.Configuration(
                identity: self.key, staticKey: staticKey, protocols: protocols, muxers: muxers,
                chainID: chainID)
            if !early { configuration.noise = NoiseIdentity(self.key, staticKey: staticKey, muxers: []) }
            upgrade = SecurityUpgrade(
                configuration, dialing: dialing, expectedPeer: expecting, ephemeral: try .generate(),
                pool: FrameBufferPool())
            output = try upgrade.start()
        }

        func receive(_ bytes: [UInt8]) throws(LibP2PError) {
            var copy = bytes
            var span = copy.mutableSpan
            var raw = span.mutableBytes
            let step = try raw.withUnsafeMutableBytes { (buffer) throws(LibP2PError) in
                try upgrade.receive(buffer)
            }
            output += step.output
            outcome = step.outcome ?? outcome
        }
    }

    /// Exchanges bytes in pieces until both sides are done or wait for each other.
    private func run(_ dialer: Side, _ listener: Side, piece: Int = .max) throws(LibP2PError) {
        while true {
            if !dialer.output.isEmpty, listener.outcome == nil {
                let bytes = Array(dialer.output.prefix(piece))
                dialer.output.removeFirst(bytes.count)
                try listener.receive(bytes)
            } else if !listener.output.isEmpty, dialer.outcome == nil {
                let bytes = Array(listener.output.prefix(piece))
                listener.output.removeFirst(bytes.count)
                try dialer.receive(bytes)
            } else {
                return
            }
        }
    }

    private func check(_ dialer: Side, _ listener: Side, security: ProtocolID, muxer: ProtocolID = .yamux)
        throws
    {
        let (left, right) = (try #require(dialer.outcome), try #require(listener.outcome))
        #expect(left.security == security && right.security == security)
        #expect(left.muxer == muxer && right.muxer == muxer)
        #expect(left.remoteKey == listener.key.publicKey && right.remoteKey == dialer.key.publicKey)
        #expect(left.remotePeer == listener.key.publicKey.peerID)
        #expect(left.leftover == [] && right.leftover == [])
        #expect(dialer.output == [] && listener.output == [])
        switch (left.transport, right.transport) {
        case (.noise(let left), .noise(let right)):
            #expect(try right.plaintext(of: try left.sealed([1, 2])) == [1, 2])
            #expect(try left.plaintext(of: try right.sealed([3])) == [3])
        case (.plaintext, .plaintext):
            #expect(security == .plaintext)
        default:
            Issue.record("the sides disagree on the transport")
        }
    }

    @Test(arguments: [1, 2, 3, 50, Int.max], [true, false])
    func noise(_ piece: Int, _ early: Bool) throws {
        let dialer = try Side(dialing: true, .secp256k1, early: early)
        let listener = try Side(dialing: false)
        try run(dialer, listener, piece: piece)
        try check(dialer, listener, security: .noise)
    }

    @Test(arguments: [1, 7, Int.max]) func plaintext(_ piece: Int) throws {
        let dialer = try Side(dialing: true, .secp256k1, protocols: [.plaintext])
        let listener = try Side(dialing: false, protocols: [.noise, .plaintext])
        try run(dialer, listener, piece: piece)
        try check(dialer, listener, security: .plaintext)
    }

    @Test(arguments: [1, 7, Int.max]) func noiseWithChainID(_ piece: Int) throws {
        let dialer = try Side(dialing: true, protocols: [.noiseChainID, .noise], chainID: "kwil-1")
        let listener = try Side(dialing: false, protocols: [.noise, .noiseChainID], chainID: "kwil-1")
        try run(dialer, listener, piece: piece)
        try check(dialer, listener, security: .noiseChainID)
    }

    @Test func chainIDsMustBeEqual() throws {
        let dialer = try Side(dialing: true, protocols: [.noiseChainID], chainID: "kwil-1")
        let listener = try Side(dialing: false, protocols: [.noiseChainID], chainID: "kwil-2")
        #expect(throws: LibP2PError.wrongChain) { try run(dialer, listener) }
        #expect(listener.outcome == nil)
    }

    @Test func chainIDExchangeIsFramedAndBounded() throws {
        var dialer = try ChainIDExchange(chainID: "ab", dialing: true)
        #expect(dialer.start() == [0, 2, 0x61, 0x62])
        let listener = try ChainIDExchange(chainID: "ab", dialing: false)
        #expect(listener.start() == [])
        let long: [UInt8] = [0x10, 0x01]
        #expect(throws: LibP2PError.tooLarge("chain ID")) {
            _ = try long.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in try dialer.receive(raw) }
        }
        #expect(throws: LibP2PError.tooLarge("chain ID")) {
            try ChainIDExchange(chainID: String(repeating: "a", count: 4_097), dialing: true)
        }
    }

    @Test func theSecondChoiceIsTaken() throws {
        let dialer = try Side(dialing: true, protocols: [.noiseChainID, .noise], chainID: "x")
        let listener = try Side(dialing: false, protocols: [.noise])
        try run(dialer, listener)
        try check(dialer, listener, security: .noise)
    }

    @Test func nothingInCommon() throws {
        let dialer = try Side(dialing: true, protocols: [.noiseChainID, .plaintext])
        let listener = try Side(dialing: false, protocols: [.noise])
        #expect(throws: LibP2PError.protocolNotSupported([.noiseChainID, .plaintext])) {
            try run(dialer, listener)
        }
    }

    @Test func noMuxerInCommon() throws {
        // The error names the other side's multiplexers only if it has listed them.
        for early in [true, false] {
            let dialer = try Side(dialing: true, muxers: ["/mplex/6.7.0"], early: early)
            let listener = try Side(dialing: false)
            let expected: LibP2PError =
                early ? .noCommonMultiplexer([.yamux]) : .protocolNotSupported(["/mplex/6.7.0"])
            #expect(throws: expected) { try run(dialer, listener) }
        }
    }

    @Test func muxersAreNegotiatedInsideTheCipher() throws {
        let dialer = try Side(dialing: true, muxers: ["/mplex/6.7.0", .yamux], early: false)
        let listener = try Side(dialing: false)
        try run(dialer, listener, piece: 5)
        try check(dialer, listener, security: .noise)
    }

    @Test func aDialerWithOneProtocolSavesARoundTrip() throws {
        let dialer = try Side(dialing: true)
        let listener = try Side(dialing: false)
        // The listener's first answer has header, protocol and handshake message; then the dialer is done.
        let first = dialer.output
        dialer.output = []
        try listener.receive(first)
        let second = listener.output
        listener.output = []
        try dialer.receive(second)
        #expect(dialer.outcome != nil)
        try listener.receive(dialer.output)
        #expect(listener.outcome != nil)
    }

    @Test func earlyMultiplexerBytesAreHandedOn() throws {
        for early in [true, false] {
            let dialer = try Side(dialing: true, early: early)
            let listener = try Side(dialing: false)
            while dialer.outcome == nil {
                let bytes = dialer.output
                dialer.output = []
                try listener.receive(bytes)
                let answer = listener.output
                listener.output = []
                try dialer.receive(answer)
            }
            guard case .noise(let transport) = try #require(dialer.outcome).transport else {
                Issue.record("not encrypted")
                return
            }
            if early {
                // The listener receives data together with the last handshake message.
                let bytes = dialer.output + (try transport.sealed([1, 2])) + (try transport.sealed([3]))
                let half = try transport.sealed([4, 5])
                try listener.receive(bytes + half.prefix(10))
                #expect(listener.outcome?.leftover == [1, 2, 3])
                guard case .noise(let receiver)? = listener.outcome?.transport else { continue }
                #expect(try receiver.plaintext(of: Array(half.dropFirst(10))) == [4, 5])
            } else {
                #expect(listener.outcome?.leftover == [])
            }
        }
    }

    @Test func wrongPeer() throws {
        for id in [ProtocolID.noise, .plaintext] {
            let stranger = try PrivateKey.generate(.ed25519).publicKey.peerID
            let dialer = try Side(dialing: true, expecting: stranger, protocols: [id])
            let listener = try Side(dialing: false, protocols: [id])
            #expect(throws: LibP2PError.wrongPeer(expected: stranger, actual: listener.key.publicKey.peerID))
            {
                try run(dialer, listener)
            }
        }
    }

    @Test func oneselfIsNotAPeer() throws {
        let key = try PrivateKey.generate(.ed25519)
        let dialer = try Side(dialing: true, key: key)
        let listener = try Side(dialing: false, key: key)
        #expect(throws: LibP2PError.dialedSelf) { try run(dialer, listener) }
    }

    @Test func garbageIsAnsweredWithNothing() throws {
        let garbage = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 13) }
        // At the start, after the header, after the protocol, and after the first handshake message.
        let opening = try Side(dialing: true).output
        let header = MultistreamDialer([]).start()
        for prefix in [0, header.count, header.count + 8, opening.count] {
            let listener = try Side(dialing: false)
            if prefix > 0 { try listener.receive(Array(opening.prefix(prefix))) }
            listener.output = []
            #expect(throws: LibP2PError.self, "behind \(prefix) bytes") {
                for _ in 0..<400 { try listener.receive(garbage) }
            }
            #expect(listener.output == [])
            #expect(listener.outcome == nil)
        }
    }

    @Test func nothingIsTakenAfterAnError() throws {
        let listener = try Side(dialing: false)
        #expect(throws: LibP2PError.self) { try listener.receive([0]) }
        let opening = try Side(dialing: true).output
        #expect(throws: LibP2PError.malformed("connection: bytes after the end of the upgrade")) {
            try listener.receive(opening)
        }
    }

    @Test func plaintextPeersMustSendTheKeyOfTheirID() throws {
        let (one, other) = (
            try PrivateKey.generate(.ed25519).publicKey, try PrivateKey.generate(.ed25519).publicKey
        )
        var message = ProtobufWriter()
        message.put(1, bytes: one.peerID.bytes)
        message.put(2, bytes: other.libp2pProtobuf)
        let bytes = [UInt8(message.bytes.count)] + message.bytes
        var exchange = PlaintextExchange(ownKey: one, expectedPeer: nil)
        #expect(throws: LibP2PError.malformed("plaintext exchange: the key does not match the peer ID")) {
            _ = try bytes.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in try exchange.receive(raw)
            }
        }
        exchange = PlaintextExchange(ownKey: one, expectedPeer: nil)
        #expect(throws: LibP2PError.tooLarge("plaintext exchange")) {
            _ = try ([0x81, 0x08] as [UInt8]).span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in
                try exchange.receive(raw)
            }
        }
    }
}
