import Testing

@testable import Crypto
@testable import VirtualIO

/// The stand-in for simulations tells keys and messages apart. It is never switched on here: that is for the process.
@Suite struct CheapCryptoTests {
    private let crypto = CheapCrypto()

    @Test(arguments: KeyType.allCases, [CryptoSuite.Purpose.message, .handshake])
    func signaturesAreOfOneKeyAndMessage(_ type: KeyType, _ purpose: CryptoSuite.Purpose) throws {
        let (key, other) = (try PrivateKey.generate(type), try PrivateKey.generate(type).publicKey)
        let message = Array("message".utf8)
        let signature = message.withUnsafeBytes { crypto.sign($0, for: purpose, with: key) }
        func isValid(_ signature: [UInt8], _ message: [UInt8], by key: PublicKey) -> Bool {
            signature.withUnsafeBytes { signature in
                message.withUnsafeBytes { crypto.verify(signature, of: $0, for: purpose, by: key) }
            }
        }
        #expect(type == .secp256k1 && purpose == .handshake || signature.count == type.signatureCount)
        #expect(isValid(signature, message, by: key.publicKey))
        #expect(!isValid(signature, message, by: other))
        #expect(!isValid(signature, message + [0], by: key.publicKey))
        #expect(!isValid(signature.dropLast(), message, by: key.publicKey))
    }

    @Test func bothSidesAgree() throws {
        let (one, two) = (try X25519.generate(), try X25519.generate())
        let publics = [one, two].map { crypto.agreementKey(of: $0) }
        #expect(publics.allSatisfy { $0.count == X25519.keyCount })
        func agreed(_ key: SecretBytes, _ other: [UInt8]) throws -> [UInt8] {
            try other.withUnsafeBytes { try crypto.agree(key, with: $0) }.withUnsafeBytes { [UInt8]($0) }
        }
        #expect(try agreed(one, publics[1]) == agreed(two, publics[0]))
    }

    /// The tag of a text under a key that begins so.
    private func tag(_ key: UInt8, _ nonce: UInt64, _ aad: [UInt8], _ text: [UInt8]) throws -> [UInt8] {
        let cipher = try [UInt8](repeating: key, count: 32).withUnsafeBytes { try crypto.makeCipher(key: $0) }
        var sealed = [UInt8](repeating: 0, count: text.count + ChaChaPoly.tagCount)
        var opened = [UInt8](repeating: 0, count: text.count)
        aad.withUnsafeBytes { aad in
            #expect(
                sealed.withUnsafeMutableBytes { sealed in
                    text.withUnsafeBytes { cipher.seal(nonce: nonce, aad: aad, in: $0, into: sealed) }
                })
            // In two pieces, neither of which is a number of words.
            let cut = min(text.count, 13)
            #expect(cipher.beginOpening(nonce: nonce, aad: aad))
            #expect(
                opened.withUnsafeMutableBytes { opened in
                    sealed.withUnsafeBytes { sealed in
                        [0..<cut, cut..<text.count].allSatisfy { part in
                            cipher.openNext(
                                UnsafeRawBufferPointer(rebasing: sealed[part]),
                                into: UnsafeMutableRawBufferPointer(rebasing: opened[part]))
                        }
                            && cipher.finishOpening(
                                tag: UnsafeRawBufferPointer(rebasing: sealed[text.count...]))
                    }
                })
        }
        #expect(opened == text)
        return Array(sealed.suffix(ChaChaPoly.tagCount))
    }

    @Test func tagsFollowFromEverything() throws {
        let text = (0..<21).map { UInt8($0) }
        let tags = [
            try tag(1, 0, [], text), try tag(2, 5, [], text), try tag(1, 1, [], text),
            try tag(1, 0, [1], text),
            try tag(1, 0, [], text + [0]), try tag(1, 0, [], text.reversed()),
        ]
        #expect(Set(tags).count == tags.count)
        #expect(try tag(1, 0, [], text) == tags[0])
    }

    @Test func nobodyHasSwitchedItOn() { #expect(!(CryptoSuite.current is CheapCrypto)) }
}
