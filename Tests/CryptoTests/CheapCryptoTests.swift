import Testing

@testable import Crypto

/// The stand-in for simulations tells keys and messages apart. It is never switched on here: that is for the process.
@Suite struct CheapCryptoTests {
    @Test(arguments: KeyType.allCases) func signaturesAreOfOneKeyAndMessage(_ type: KeyType) throws {
        let (key, other) = (try PrivateKey.generate(type).publicKey, try PrivateKey.generate(type).publicKey)
        let message = Array("message".utf8)
        for count in [type.signatureCount, CheapCrypto.handshakeCount(type)] {
            let signature = CheapCrypto.signature(message, by: key.bytes, count: count)
            #expect(signature.count == count)
            #expect(CheapCrypto.verify(signature, of: message, by: key.bytes, count: count))
            #expect(!CheapCrypto.verify(signature, of: message, by: other.bytes, count: count))
            #expect(!CheapCrypto.verify(signature, of: message + [0], by: key.bytes, count: count))
            #expect(!CheapCrypto.verify(signature.dropLast() + [], of: message, by: key.bytes, count: count))
        }
    }

    @Test func bothSidesAgree() throws {
        let (one, two) = (try X25519.generate(), try X25519.generate())
        let publics = [one, two].map { CheapCrypto.publicKey(of: $0) }
        #expect(
            CheapCrypto.agreement(publics[0], publics[1]) == CheapCrypto.agreement(publics[1], publics[0]))
        #expect(publics.allSatisfy { $0.count == X25519.keyCount })
    }

    @Test func tagsFollowFromEverything() {
        func tag(_ key: UInt64, _ nonce: UInt64, _ aad: [UInt8], _ text: [UInt8]) -> UInt64 {
            aad.withUnsafeBytes { aad in
                text.withUnsafeBytes { CheapCrypto.tag(key: key, nonce: nonce, aad: aad, text: $0) }
            }
        }
        let text = (0..<21).map { UInt8($0) }
        let tags = [
            tag(1, 0, [], text), tag(2, 5, [], text), tag(1, 1, [], text), tag(1, 0, [1], text),
            tag(1, 0, [], text + [0]), tag(1, 0, [], text.reversed()),
        ]
        #expect(Set(tags).count == tags.count)
        #expect(tag(1, 0, [], text) == tags[0])
    }

    @Test func nobodyHasSwitchedItOn() { #expect(!CheapCrypto.isActive) }
}
