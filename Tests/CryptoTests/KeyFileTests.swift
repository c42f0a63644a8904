import Bytes
import Crypto
import Glibc
import TestSupport
import Testing

@Suite struct KeyFileTests {
    /// Runs `body` with the path of a file in a directory of its own.
    private func withPath(_ body: (String) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        try body("\(directory.path)/nodekey.json")
    }

    private func write(_ text: String, _ path: String, mode: mode_t = 0o600) throws {
        try TestFile.write(text, to: path)
        #expect(chmod(path, mode) == 0)
    }

    /// Returns the error line of loading `path`.
    private func refusal(_ path: String) -> String {
        let error = #expect(throws: CryptoError.self) { try KeyFile.load(path) }
        let text = error?.description ?? ""
        #expect(text.contains(path) && !text.contains("\n"))
        return text
    }

    @Test(arguments: KeyType.allCases) func survives(_ type: KeyType) throws {
        try withPath { path in
            let key = try PrivateKey.generate(type)
            try KeyFile.save(key, to: path)
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(try KeyFile.load(path).bytes == key.bytes)
            #expect(throws: CryptoError.self) { try KeyFile.save(key, to: path) }
            #expect(try KeyFile.load(path).publicKey == key.publicKey)
        }
    }

    @Test func theReferencesFormIsRead() throws {
        try withPath { path in
            let key = try PrivateKey.generate(.secp256k1)
            try write("{\"key\":\"\(Hex.encode(key.bytes))\",\"type\":\"secp256k1\"}", path)
            #expect(try KeyFile.load(path).publicKey == key.publicKey)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660, 0o666, 0o601] as [mode_t]) func othersMustNotUseIt(
        _ mode: mode_t
    ) throws {
        try withPath { path in
            let key = try PrivateKey.generate(.ed25519)
            try write("{\"key\":\"\(Hex.encode(key.bytes))\",\"type\":\"ed25519\"}", path, mode: mode)
            #expect(refusal(path).contains("mode \(String(mode, radix: 8))"))
        }
    }

    @Test func missingAndSpecialFilesAreRefused() throws {
        try withPath { path in
            #expect(refusal(path).contains("No such file"))
            try DirectoryTree.create(path)
            #expect(refusal(path).contains("not a regular file"))
            #expect(throws: CryptoError.self) {
                try KeyFile.save(PrivateKey.generate(.ed25519), to: path + "/no/such/folder")
            }
        }
    }

    @Test func everyTruncationIsRefused() throws {
        try withPath { path in
            let text = "{\"type\":\"secp256k1\",\"key\":\"\(String(repeating: "01", count: 32))\"}"
            for count in 0..<text.utf8.count {
                try write(String(text.prefix(count)), path)
                _ = refusal(path)
            }
            try write(text, path)
            _ = try KeyFile.load(path)
        }
    }

    @Test(arguments: [
        ("[]", "JSON object"), ("{}", "JSON object"), ("{\"type\":1,\"key\":\"\"}", "JSON object"),
        ("{\"type\":\"rsa\",\"key\":\"00\"}", "unknown key type"),
        ("{\"type\":\"ed25519\",\"key\":\"zz\"}", "hexadecimal"),
        ("{\"type\":\"ed25519\",\"key\":\"00\"}", "has 1 bytes"),
        (
            "{\"type\":\"secp256k1\",\"key\":\"\(String(repeating: "01", count: 33))\"}",
            "has 33 bytes"
        ),
        ("{\"type\":\"secp256k1\",\"key\":\"\(String(repeating: "00", count: 32))\"}", "invalid private key"),
        ("{\"type\":\"ed25519\",\"key\":\"\(String(repeating: "01", count: 64))\"}", "invalid private key"),
        (String(repeating: " ", count: 5000), "longer than"),
    ])
    func whatIsNoKeyIsRefused(_ text: String, _ reason: String) throws {
        try withPath { path in
            try write(text, path)
            #expect(refusal(path).contains(reason), "\(refusal(path))")
        }
    }
}
