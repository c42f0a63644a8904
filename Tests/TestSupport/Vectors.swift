import FoundationEssentials

/// The test vectors under `Tests/Vectors`.
public enum Vectors {
    /// Returns a vector file's bytes.
    private static func data(_ name: String) throws -> Data {
        Data(try TestFile.bytes("\(ProjectFile.root)/Tests/Vectors/\(name)"))
    }

    /// Decodes a vector file.
    public static func load<T: Decodable>(_ type: T.Type, from name: String) throws -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data(name))
    }
}
