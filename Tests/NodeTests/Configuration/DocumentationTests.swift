import TestSupport
import Testing

@testable import Node

@Suite struct DocumentationTests {
    @Test func configurationPageIsCurrent() throws {
        let page = try ProjectFile.text("docs/configuration.md")
        #expect(
            page == Configuration.documentation,
            "regenerate it: apus config --markdown > docs/configuration.md")
    }
}
