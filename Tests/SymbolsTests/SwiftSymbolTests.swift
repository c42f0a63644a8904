import Testing

@testable import Symbols

@Suite struct SwiftSymbolTests {
    @Test(arguments: [
        ("Reactor.EventLoop.turn() -> Swift.Bool", "Reactor.EventLoop.turn"),
        ("Reactor.EventLoop.(runWork in _A14C2A4C)() -> ()", "Reactor.EventLoop.runWork"),
        (
            "(1) suspend resume partial function for LibP2P.Stream.finishNegotiation() async throws(A.B) -> ()",
            "LibP2P.Stream.finishNegotiation"
        ),
        (
            "partial apply forwarder for closure #1 @Sendable () -> () in static Reactor.EventLoop.start(_: A?, name: B) -> C",
            "closure in Reactor.EventLoop.start"
        ),
        (
            "closure #2 (A) -> B in closure #1 () -> () in Node.(x in _AB).y(A<B>) -> ()",
            "closure in Node.x.y"
        ),
        (
            "generic specialization <[Swift.UInt8]> of Swift.Array.append(__owned A) -> ()",
            "Swift.Array.append"
        ),
        (
            "closure #1 () -> () in (extension in Reactor):Synchronization.Mutex.wait() -> ()",
            "closure in (extension in Reactor):Synchronization.Mutex.wait"
        ),
        ("Chain.Block.hash.getter : Crypto.Hash", "Chain.Block.hash.getter"),
        ("reabstraction thunk helper from @escaping () -> () to ()", "reabstraction thunk"),
        ("", ""), ("((((", "("), ("closure #1 in ", "closure in "), ("a in _", "a in _"),
    ]) func namesAreShortened(_ long: String, _ short: String) {
        #expect(SwiftSymbol.short(long) == short)
    }

    @Test func symbolsOfOtherLanguagesRemain() {
        for symbol in ["start_thread", "$sBROKEN", "$s", "std::vector<int>::push_back(int&&)"] {
            #expect(SwiftSymbol.name(of: symbol) == symbol)
        }
    }
}
