import Bytes
import Chain
import LibP2P
import Testing

@testable import Protocols

/// The table of what an error says about the peer.
@Suite struct MisbehaviourTests {
    typealias Row<Failure> = (error: Failure, ofDialler: Misbehaviour?, ofResponder: Misbehaviour?)

    static let dialogues: [Row<ProtocolsError>] = [
        (.malformed("x"), .malformed, .wrongContent),
        (.wrongContent("x"), nil, .wrongContent),
        (.forged("x"), .wrongContent, .wrongContent),
        (.stalled, .stalling, .stalling),
        (.busy, nil, nil),
        (.stream(.timedOut), nil, nil),
        (.stream(.streamReset), nil, nil),
        (.stream(.endOfStream), nil, nil),
    ]

    @Test(arguments: dialogues) func errorsOfDialogues(row: Row<ProtocolsError>) {
        #expect(Misbehaviour.ofDialler(row.error) == row.ofDialler)
        #expect(Misbehaviour.ofResponder(row.error) == row.ofResponder)
    }

    static let streams: [Row<LibP2PError>] = [
        (.malformed("x"), .malformed, .wrongContent),
        (.tooLarge("x"), .malformed, .wrongContent),
        (.timedOut, nil, nil),
        (.connectionClosed, nil, nil),
        (.cancelled, nil, nil),
    ]

    @Test(arguments: streams) func errorsOfStreams(row: Row<LibP2PError>) {
        #expect(Misbehaviour.ofDialler(row.error) == row.ofDialler)
        #expect(Misbehaviour.ofResponder(.stream(row.error)) == row.ofResponder)
    }

    @Test func valuesThatTheChainRefuses() throws {
        let error = try #require(throws: ChainError.self) { try Block(decoding: SharedBytes()) }
        #expect(Misbehaviour.ofDialler(error) == .malformed)
        #expect(Misbehaviour.ofResponder(.refused(error)) == .wrongContent)
    }
}
