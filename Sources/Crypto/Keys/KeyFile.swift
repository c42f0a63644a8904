import Bytes
import CShims
import Glibc
import JSON

/// A node's private key on disk: `nodekey.json`, an object with `type` and `key` (hex), mode 0600 (docs/wire.md,
/// section 9).
public enum KeyFile {
    /// The largest file to read, in bytes; a key file has about 170.
    public static let sizeLimit = 4096

    /// Loads the key at `path`. Throws if others may read or write the file, or if it does not hold a key.
    ///
    /// - Parameter isCredential: whether a service manager has passed the file. The group bits of its mode may then be the
    ///   mask of an access control list, which lets the service's user read it.
    public static func load(_ path: String, isCredential: Bool = false) throws(CryptoError) -> PrivateKey {
        func refuse(_ reason: String) -> CryptoError { .keyFile(path: path, reason: reason) }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw refuse(SystemErrorText.of(errno)) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw refuse(SystemErrorText.of(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw refuse("not a regular file") }
        guard status.st_mode & (isCredential ? 0o037 : 0o077) == 0 else {
            let mode = String(status.st_mode & 0o7777, radix: 8)
            throw refuse("its mode \(mode) lets others use it; make it private with chmod 600")
        }
        guard status.st_size <= sizeLimit else { throw refuse("longer than \(sizeLimit) bytes") }
        var bytes = [UInt8](repeating: 0, count: sizeLimit)
        defer { sodium_memzero(&bytes, bytes.count) }
        let count = read(file, &bytes, bytes.count)
        guard count >= 0 else { throw refuse(SystemErrorText.of(errno)) }
        guard count > 0 else { throw refuse("empty") }
        let (typeText, keyText) = try content(bytes[..<count], refuse)
        guard let type = try? KeyType(name: typeText.string) else {
            throw refuse("unknown key type \(typeText.description)")
        }
        guard var key = try? Hex.decode(utf8: keyText) else { throw refuse("\"key\" is not hexadecimal") }
        defer { sodium_memzero(&key, key.count) }
        guard key.count == type.privateKeyCount else {
            throw refuse(
                "\"key\" has \(key.count) bytes; a private key of type \(type.name) has \(type.privateKeyCount)"
            )
        }
        do {
            return try PrivateKey(type: type, bytes: key)
        } catch {
            throw refuse(error.description)
        }
    }

    /// Returns the two strings of a key file, from a document that wipes itself.
    private static func content(
        _ bytes: ArraySlice<UInt8>, _ refuse: (String) -> CryptoError
    ) throws(CryptoError) -> (type: JSONText, key: JSONText) {
        let root: JSONValue
        do {
            root = try JSONDocument(bytes, isSecret: true).root
        } catch {
            throw refuse(error.description)
        }
        do {
            var members = try root.members()
            return (try members.value("type").text(), try members.value("key").text())
        } catch {
            throw refuse("not a JSON object with the strings \"type\" and \"key\"")
        }
    }

    /// Writes `key` to a new file at `path` with mode 0600 and syncs it to disk. Never replaces a file.
    public static func save(_ key: PrivateKey, to path: String) throws(CryptoError) {
        func refuse(_ reason: String) -> CryptoError { .keyFile(path: path, reason: reason) }
        var text: [UInt8] = []
        // Reserve room for the whole text, so that a growing array leaves no copy behind.
        text.reserveCapacity(sizeLimit)
        defer { sodium_memzero(&text, text.count) }
        text.append(contentsOf: "{\n  \"type\": \"\(key.type.name)\",\n  \"key\": \"".utf8)
        key.secret.withUnsafeBytes { Hex.append($0, to: &text) }
        text.append(contentsOf: "\"\n}\n".utf8)
        do {
            try FileContent.create(path, text, mode: 0o600)
        } catch {
            throw refuse(error.description)
        }
    }
}
