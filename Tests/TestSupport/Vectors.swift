import Foundation

/// The test vectors under `Tests/Vectors`.
public enum Vectors {
    /// A vector file's bytes.
    public static func data(_ name: String) throws -> Data {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try Data(contentsOf: folder.appending(path: "Vectors/\(name)"))
    }

    /// A vector file, decoded.
    public static func load<T: Decodable>(_ type: T.Type, from name: String) throws -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data(name))
    }
}
