import Glibc
import Symbols
import Testing

@Suite struct ProgramSymbolsTests {
    private struct Box { let body: @Sendable () -> Int }

    private static func address(of body: @escaping @Sendable () -> Int) -> UInt {
        withUnsafeBytes(of: Box(body: body)) { $0.load(as: UInt.self) }
    }

    private static func answer() -> Int { 42 }

    @Test func functionsOfTheProgramHaveNames() {
        let name = ProgramSymbols().name(of: Self.address { getpid() > 0 ? 1 : 2 })
        #expect(name == "closure in SymbolsTests.ProgramSymbolsTests.functionsOfTheProgramHaveNames")
    }

    @Test func exportedFunctionsOfLibrariesHaveNames() throws {
        let handle = dlopen(nil, RTLD_NOW)
        let address = try #require(dlsym(handle, "strlen"))
        // Several names may share one address.
        let name = ProgramSymbols().name(of: UInt(bitPattern: address)) ?? ""
        #expect(name.contains("strlen") || name.hasPrefix("libc.so.6+0x"))
    }

    @Test(arguments: [0, 1, UInt.max]) func addressesOfNothingHaveNoName(_ address: UInt) {
        let name = ProgramSymbols().name(of: address)
        #expect(name == nil)
    }
}
