import Bytes
import Collections
import Crypto
import TestSupport
import Testing

@Suite struct CipherTests {
    /// RFC 8439, appendix A.5, whose nonce has the form that Noise gives it.
    @Test func knownAnswer() throws {
        let key = try Hex.decode("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
        let aad = try Hex.decode("f33388860000000000004e91")
        let plain = Array(
            """
            Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, \
            or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference \
            material or to cite them other than as /\u{201C}work in progress./\u{201D}
            """.utf8)
        let sealed = try Hex.decode(
            "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
                + "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
                + "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
                + "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
                + "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
                + "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38")
        let cipher = try ChaChaPoly(key: key)
        let nonce: UInt64 = 0x0807_0605_0403_0201
        var target = [UInt8](repeating: 0, count: plain.count + ChaChaPoly.tagCount)
        target.withUnsafeMutableBytes { target in
            plain.withUnsafeBytes { plain in
                aad.withUnsafeBytes { cipher.seal(nonce: nonce, aad: $0, in: plain, into: target) }
            }
        }
        #expect(target == sealed)
        #expect(cipher.opens(sealed, nonce: nonce, aad: aad) == plain)
        #expect(cipher.opens(sealed, nonce: nonce, aad: []) == nil)
        #expect(cipher.opens(sealed, nonce: nonce + 1, aad: aad) == nil)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 63, 64, 65, 1000, 65_519]) func survives(_ count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        let cipher = try ChaChaPoly(key: random.bytes(32))
        let plain = random.bytes(count)
        for nonce in [0, 1, UInt64(UInt32.max), 1 << 32, .max - 1] as [UInt64] {
            // In place, as in the reactor's buffers.
            var buffer = plain + [UInt8](repeating: 0, count: 16)
            buffer.withUnsafeMutableBytes {
                cipher.seal(nonce: nonce, in: UnsafeRawBufferPointer(rebasing: $0[..<count]), into: $0)
            }
            #expect(cipher.opens(buffer, nonce: nonce, aad: []) == plain)
            var flipped = buffer
            flipped[Int.random(in: 0..<flipped.count, using: &random)] ^= 0x10
            #expect(cipher.opens(flipped, nonce: nonce, aad: []) == nil)
            #expect(cipher.opens(Array(buffer.dropLast()), nonce: nonce, aad: []) == nil)
            let opened = buffer.withUnsafeMutableBytes {
                cipher.open(nonce: nonce, in: UnsafeRawBufferPointer($0), into: $0)
            }
            #expect(opened && buffer.prefix(count).elementsEqual(plain))
        }
    }

    @Test(arguments: [0, 1, 63, 64, 65, 300, 65_519]) func opensInPieces(_ count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        let cipher = try ChaChaPoly(key: random.bytes(32))
        let plain = random.bytes(count)
        for nonce in 0..<20 as Range<UInt64> {
            var sealed = [UInt8](repeating: 0, count: count + ChaChaPoly.tagCount)
            sealed.withUnsafeMutableBytes { target in
                plain.withUnsafeBytes { cipher.seal(nonce: nonce, in: $0, into: target) }
            }
            let isBroken = nonce % 4 == 3
            if isBroken { sealed[Int.random(in: 0..<sealed.count, using: &random)] ^= 1 }
            let isBegun = cipher.beginOpening(nonce: nonce)
            #expect(isBegun)
            var opened = [UInt8](repeating: 0, count: count)
            var place = 0
            while place < count {
                let end = Int.random(in: place...min(count, place + max(1, count / 5)), using: &random)
                let isOpened = opened.withUnsafeMutableBytes { target in
                    sealed.withUnsafeBytes {
                        cipher.openNext(
                            UnsafeRawBufferPointer(rebasing: $0[place..<end]),
                            into: UnsafeMutableRawBufferPointer(rebasing: target[place..<end]))
                    }
                }
                #expect(isOpened)
                place = end
            }
            let isRight = sealed.withUnsafeBytes {
                cipher.finishOpening(tag: UnsafeRawBufferPointer(rebasing: $0[count...]))
            }
            #expect(isRight == !isBroken && (isBroken || opened == plain))
            let whole = cipher.opens(sealed, nonce: nonce, aad: [])
            #expect(whole == (isBroken ? nil : plain))
        }
    }

    @Test func shortInputIsRefused() throws {
        let cipher = try ChaChaPoly(key: [UInt8](repeating: 0, count: 32))
        for count in 0...16 {
            #expect(cipher.opens([UInt8](repeating: 0, count: count), nonce: 0, aad: []) == nil)
        }
        #expect(throws: CryptoError.invalidPrivateKey) { _ = try ChaChaPoly(key: [1]) }
    }

    /// RFC 5869, appendix A.3, which has no info either, continued to 96 bytes.
    @Test(arguments: [2, 3]) func hkdfKnownAnswer(_ outputs: Int) throws {
        let input = [UInt8](repeating: 0x0B, count: 22)
        let secrets = try HKDF.noise(chainingKey: [], input: input, outputs: outputs)
        #expect(
            secrets.map { $0.withUnsafeBytes { Hex.encode($0) } }
                == Array(Self.hkdfOutputs.prefix(outputs)))
    }

    private static let hkdfOutputs = [
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
        "9d201395faa4b61a96c8b2fb61057244b36c6ddd287f634795e7d80d5fe26bfc",
        "36def6dc129c29271a0eb7ab14bd2ca88259f8a3a92ac2ec0e3e4fa046a4b90b",
    ]

    /// Another implementation's outputs for a chaining key and an input as in a handshake.
    @Test func hkdfOfAHandshake() throws {
        let secrets = try HKDF.noise(
            chainingKey: [UInt8](0..<32), input: [UInt8](32..<64), outputs: 3)
        #expect(
            secrets.map { $0.withUnsafeBytes { Hex.encode($0) } } == [
                "2607f5d05b268e0057684567787ed2f250fdb6e5b0572df9ef57a29539e5b5f8",
                "ccc538566c93ab32f7106fbee1e0e9fa5501f6363b63ce894b3a27385f13c86c",
                "f72d032483792781ae9b50b273a57a44b0f8c47ff9ca121e5443eb7a9dd62e74",
            ])
        #expect(
            try HKDF.noise(chainingKey: [UInt8](0..<32), input: [], outputs: 2)
                .map { $0.withUnsafeBytes { Hex.encode($0) } } == [
                    "1d7e0d6f1d9da2d68dabed53b5f88345f3fd01cb75411fbe5aa4293bd8f430d6",
                    "3ed9b8035bbf370b8cfef7ff15007de45488e18660c84e3d996e8e6c658fa7f8",
                ])
    }

    /// RFC 7748, section 5.2.
    @Test func x25519KnownAnswer() throws {
        let scalar = try SecretBytes(
            copying: Hex.decode("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"))
        let point = try Hex.decode("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
        let secret = try X25519.sharedSecret(scalar, point)
        #expect(
            secret.withUnsafeBytes { Hex.encode($0) }
                == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    }

    @Test func x25519Agrees() throws {
        for _ in 0..<20 {
            let (a, b) = (try X25519.generate(), try X25519.generate())
            let left = try X25519.sharedSecret(a, X25519.publicKey(of: b))
            let right = try X25519.sharedSecret(b, X25519.publicKey(of: a))
            #expect(left.withUnsafeBytes(Array.init) == right.withUnsafeBytes(Array.init))
        }
        let key = try X25519.generate()
        for low in [[UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31)] {
            #expect(throws: CryptoError.weakKeyExchange) { try X25519.sharedSecret(key, low) }
        }
        #expect(throws: CryptoError.invalidPublicKey) { try X25519.sharedSecret(key, [1, 2, 3]) }
    }

    @Test func randomBytesDiffer() {
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
        #expect(SecureRandom.bytes(0).isEmpty && SecureRandom.bytes(100_000).count == 100_000)
    }
}

extension ChaChaPoly {
    /// Returns the plaintext of `sealed`, or nil.
    borrowing func opens(_ sealed: [UInt8], nonce: UInt64, aad: [UInt8]) -> [UInt8]? {
        var target = [UInt8](repeating: 0, count: max(0, sealed.count - ChaChaPoly.tagCount))
        var opened = false
        target.withUnsafeMutableBytes { target in
            sealed.withUnsafeBytes { sealed in
                aad.withUnsafeBytes { opened = open(nonce: nonce, aad: $0, in: sealed, into: target) }
            }
        }
        return opened ? target : nil
    }
}
