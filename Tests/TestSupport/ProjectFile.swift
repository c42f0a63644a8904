import Bytes

/// The files of the project itself.
public enum ProjectFile {
    /// The package's directory.
    public static let root: String = {
        // This file is Tests/TestSupport/ProjectFile.swift in it.
        #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/\($1)" }
    }()

    /// Returns the text of a file by its path below the root.
    public static func text(_ path: String) throws(FileContent.Failure) -> String {
        try TestFile.text("\(root)/\(path)")
    }

    /// Returns the sorted paths, below the root, of the files in a directory and its subdirectories with a given
    /// ending.
    public static func paths(in directory: String, ending: String) throws -> [String] {
        var paths: [String] = []
        for name in try TestFile.names(in: "\(root)/\(directory)") {
            let path = "\(directory)/\(name)"
            if name.hasSuffix(ending) { paths.append(path) }
            if TestFile.isDirectory("\(root)/\(path)") { paths += try self.paths(in: path, ending: ending) }
        }
        return paths
    }
}
