import TestSupport
import Testing

/// The walks in docs/architecture.md, held against the sources.
@Suite struct ArchitectureTests {
    /// Every `Type.function` of the two walks is a function of that type.
    @Test func walksNameRealFunctions() throws {
        let page = try ProjectFile.text("docs/architecture.md")
        let begin = try #require(page.firstRange(of: "## Path of a block"))
        let end = try #require(page.firstRange(of: "## Committing"))
        let names = page[begin.lowerBound..<end.lowerBound].matches(of: /`([A-Z]\w+)\.([a-z]\w+)`/)
        #expect(names.count > 40)
        let sources = try ProjectFile.paths(in: "Sources", ending: ".swift").map { try ProjectFile.text($0) }
        for name in names {
            let (type, function) = (name.output.1, name.output.2)
            let declares = function == "init" ? "init(" : "func \(function)"
            let types = ["class", "struct", "extension", "enum"].map { "\($0) \(type)" }
            let isThere = sources.contains { source in
                source.contains(declares)
                    && types.contains { source.contains("\($0) ") || source.contains("\($0):") }
            }
            #expect(isThere, "\(type).\(function) is not in the sources")
        }
    }
}
