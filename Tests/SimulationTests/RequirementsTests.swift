import TestSupport
import Testing

@testable import Simulation

/// Checks that the scenarios, source files and tests in docs/requirements.md exist.
@Suite struct RequirementsTests {
    /// A requirement and its references.
    struct Row {
        let cells: [String]

        var requirement: String { cells[0] }

        /// Returns the words between backticks in a cell.
        func names(_ column: Int) -> [String] {
            let parts = cells[column].split(separator: "`", omittingEmptySubsequences: false)
            return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
        }
    }

    static func text(_ path: String) -> String? { try? ProjectFile.text(path) }

    static func rows() throws -> [Row] {
        let page = try #require(text("docs/requirements.md"))
        let lines = page.split(separator: "\n").filter { $0.hasPrefix("|") && !$0.hasPrefix("| ---") }
        return lines.filter { !$0.hasPrefix("| requirement |") }.map { line in
            Row(
                cells: line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
                    .map { trimmed($0) })
        }
    }

    /// Returns a cell without surrounding spaces.
    private static func trimmed(_ cell: Substring) -> String {
        let start = cell.drop { $0 == " " }
        return String(start.prefix(start.count - start.reversed().prefix { $0 == " " }.count))
    }

    @Test func everyRowIsFull() throws {
        let rows = try Self.rows()
        #expect(rows.count > 100)
        for row in rows {
            #expect(row.cells.count == 4, "\(row.cells)")
            #expect(row.cells.allSatisfy { !$0.isEmpty && $0 != "—" }, "\(row.requirement)")
        }
        #expect(Set(rows.map(\.requirement)).count == rows.count, "a row stands there twice")
    }

    /// Source files are given by their paths below Sources; other names in the cell occur in one of the row's files.
    @Test func sourcesAreThere() throws {
        for row in try Self.rows() {
            let names = row.names(1)
            let files = names.filter { $0.hasSuffix(".swift") }
            #expect(!files.isEmpty, "\(row.requirement)")
            let texts = files.map { file in
                let text = Self.text("Sources/\(file)")
                #expect(text != nil, "no file \(file)")
                return text ?? ""
            }
            for name in names where !name.hasSuffix(".swift") {
                #expect(texts.contains { $0.contains(name) }, "\(name) is not in \(files)")
            }
        }
    }

    /// Each row has a scenario or a kind of random fault, or a dash and the reason why none can show it.
    @Test func scenariosAreThere() throws {
        let known = Set(Scenario.all.map(\.name)).union(FaultKind.allCases.map(\.rawValue))
        for row in try Self.rows() {
            let names = row.names(2)
            if names.isEmpty { #expect(row.cells[2].hasPrefix("— "), "nothing shows: \(row.requirement)") }
            for name in names { #expect(known.contains(name), "no scenario \(name)") }
        }
    }

    /// Tests are given as `Suite/test`, or as a function of a Python file.
    @Test func testsAreThere() throws {
        let texts = try ProjectFile.paths(in: "Tests", ending: "Tests.swift").compactMap(Self.text)
        let scripts = try ProjectFile.paths(in: "Tests", ending: ".py")
        for row in try Self.rows() {
            let names = row.names(3)
            #expect(!names.isEmpty, "nothing tests: \(row.requirement)")
            for name in names {
                let parts = name.split(separator: "/").map(String.init)
                guard parts.count == 2 else {
                    Issue.record("\(name) names no test")
                    continue
                }
                let isThere =
                    if parts[0].hasSuffix(".py") {
                        scripts.filter { $0.hasSuffix("/\(parts[0])") }.compactMap(Self.text)
                            .contains { $0.contains("def \(parts[1])(") }
                    } else {
                        texts.contains {
                            $0.contains("struct \(parts[0]) {") && $0.contains("func \(parts[1])(")
                        }
                    }
                #expect(isThere, "no test \(name)")
            }
        }
    }

    /// The protocols import nothing of RPC and the node around them, and libp2p nothing of the protocols.
    @Test func layersKnowOnlyWhatIsBelow() throws {
        let strangers = [
            "LibP2P": ["Protocols", "Chain", "Consensus", "Node", "API"],
            "Protocols": ["Consensus", "Execution", "Mempool", "Node", "Storage", "API", "Log"],
            "Consensus": ["Protocols", "LibP2P", "Node", "API", "Log"],
            "Node": ["API", "Simulation"],
        ]
        for (module, others) in strangers.sorted(by: { $0.key < $1.key }) {
            let files = try ProjectFile.paths(in: "Sources/\(module)", ending: ".swift")
            #expect(!files.isEmpty)
            for file in files {
                let lines = (Self.text(file) ?? "").split(separator: "\n")
                for other in others { #expect(!lines.contains("import \(other)"), "\(file)") }
            }
        }
    }

    /// Targets of machines use only the machine's protocol from `Reactor`, nothing that runs.
    @Test func machinesTouchNoLoop() throws {
        for module in ["Consensus", "Mempool"] {
            for file in try ProjectFile.paths(in: "Sources/\(module)", ending: ".swift") {
                let text = Self.text(file) ?? ""
                for word in ["ReactorActor", "Reactor.", "EventLoop", "Worker(", "async ", "await "] {
                    #expect(!text.contains(word), "\(file): \(word)")
                }
            }
        }
    }

    /// Text from outside is `RawText`: the results of these functions depend on the version of Unicode, and other
    /// implementations differ.
    @Test func textFromOutsideIsNoStringThatIsCompared() throws {
        let words = [
            "[String: ", "<String, ", "Set<String>", ".lowercased()", ".uppercased()", "isWhitespace",
            "isNewline",
            "isLetter", "isNumber", "debugDescription", "caseInsensitive",
        ]
        let modules = [
            "API", "Chain", "Consensus", "Crypto", "Execution", "HTTP", "JSON", "LibP2P", "Mempool",
            "Multiformats", "Node", "Protocols",
        ]
        for module in modules {
            let paths = try ProjectFile.paths(in: "Sources/\(module)", ending: ".swift")
            #expect(!paths.isEmpty)
            for path in paths {
                let text = try #require(Self.text(path))
                for word in words { #expect(!text.contains(word), "\(path) has \(word): use RawText") }
            }
        }
    }

    /// The program is linked without Foundation, which contains its own copy of ICU.
    @Test func noSourceImportsFoundation() throws {
        for file in try ProjectFile.paths(in: "Sources", ending: ".swift") {
            let text = try ProjectFile.text(file)
            #expect(!text.contains("import Foundation"), "\(file)")
        }
    }
}
