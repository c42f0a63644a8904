import Glibc
import Testing

@testable import Bytes

@Suite struct FileContentTests {
    /// Runs `body` with a directory of its own, which is then deleted.
    private func inDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/apus-files-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? DirectoryTree.remove(directory) }
        try body(directory)
    }

    /// Returns why a file cannot be read, or nil if it can.
    private func refusal(of path: String, limit: Int = 10) -> String? {
        do {
            _ = try FileContent.read(path, limit: limit)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func whatIsWrittenIsRead() throws {
        try inDirectory { directory in
            for count in [0, 1, 65_536, 200_001] {
                let file = "\(directory)/\(count)"
                let content = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                try FileContent.create(file, content, mode: 0o600)
                #expect(try FileContent.read(file, limit: count) == content)
                if count > 0 {
                    #expect(refusal(of: file, limit: count - 1) == "more than \(count - 1) bytes")
                }
                let error = #expect(throws: FileContent.Failure.self) {
                    try FileContent.create(file, content)
                }
                #expect(error?.description == "File exists")
            }
        }
    }

    /// Files in procfs report a size of zero.
    @Test func filesThatDoNotKnowTheirSizeAreReadAndBounded() throws {
        #expect(try FileContent.read("/proc/self/status", limit: 1 << 20).count > 100)
        #expect(refusal(of: "/proc/self/status", limit: 100) == "more than 100 bytes")
    }

    @Test func whatIsNoFileIsRefused() throws {
        try inDirectory { directory in
            #expect(refusal(of: directory) == "not a regular file")
            #expect(refusal(of: "\(directory)/none") == "No such file or directory")
            #expect(mkfifo("\(directory)/pipe", 0o600) == 0)
            #expect(refusal(of: "\(directory)/pipe") == "not a regular file")
        }
    }

    @Test func piecesEndWhenNoMoreAreWanted() throws {
        try inDirectory { directory in
            let file = "\(directory)/file"
            try FileContent.create(file, [UInt8](repeating: 1, count: 1 << 20))
            var pieces = 0
            try FileContent.readPieces(file, limit: 1 << 20) { _ in
                pieces += 1
                return pieces < 3
            }
            #expect(pieces == 3)
        }
    }

    @Test func treesAreMadeAndDeleted() throws {
        try inDirectory { directory in
            let deep = "\(directory)/a/b/c"
            try DirectoryTree.create(deep)
            try DirectoryTree.create(deep + "/")
            try FileContent.create("\(directory)/kept", [])
            try FileContent.create("\(deep)/file", [])
            #expect(symlink("\(directory)/kept", "\(deep)/link") == 0)
            #expect(symlink(directory, "\(deep)/loop") == 0)
            #expect(try DirectoryTree.names(in: deep)?.count == 3)
            try DirectoryTree.remove("\(directory)/a")
            #expect(try DirectoryTree.names(in: "\(directory)/a") == nil)
            // The targets of links are still there.
            #expect(try DirectoryTree.names(in: directory) == [Array("kept".utf8)])
            let error = #expect(throws: DirectoryTree.Failure.self) {
                try DirectoryTree.create("\(directory)/kept/below")
            }
            #expect(error?.description == "\(directory)/kept: Not a directory")
        }
    }
}
