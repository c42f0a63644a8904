import Foundation
import Testing

@testable import Node

@Suite struct DocumentationTests {
    @Test func configurationPageIsCurrent() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
        #expect(
            page == Configuration.documentation,
            "make it again: apus config --markdown > docs/configuration.md")
    }
}
