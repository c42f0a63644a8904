import Bytes
import Collections
import Crypto
import TestSupport
import Testing

@Suite struct HashTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256KnownAnswers(_ text: String, _ digest: String) throws {
        #expect(Hash.sha256(of: Array(text.utf8)).description == digest)
        #expect(Hash(hex: digest) == Hash.sha256(of: SharedBytes(Array(text.utf8))))
    }

    /// The test vector of the paper on SipHash, and one of an independent implementation.
    @Test func sipHashKnownAnswers() throws {
        let siphash = SipHash(key: try Hash((0..<32).map { UInt8($0) }))
        #expect(siphash.hash((0..<15).map { UInt8($0) }) == 0xA129_CA61_49BE_45E5)
        #expect(siphash.hash([UInt8]()) == 0x726F_DB47_DD0E_0E31)
    }

    @Test func piecesGiveTheWhole() {
        var random = SeededGenerator(seed: 256)
        let bytes = random.bytes(10_000)
        for _ in 0..<20 {
            var digest = SHA256()
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 0...700, using: &random)
                digest.update(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
            #expect(digest.finalize() == .sha256(of: bytes))
        }
        #expect(SHA256().finalize() == .sha256(of: []))
        let left = Hash.sha256(of: [1])
        let right = Hash.sha256(of: [2])
        #expect(Hash.sha256(of: left, right) == .sha256(of: left.array + right.array))
    }

    /// Each thread has its own context, so threads do not disturb each other.
    @Test func threadsHashAlike() async {
        let expected = Hash.sha256(of: [UInt8](repeating: 7, count: 100_000))
        await withTaskGroup(of: Hash.self) { group in
            for _ in 0..<32 { group.addTask { .sha256(of: [UInt8](repeating: 7, count: 100_000)) } }
            for await hash in group { #expect(hash == expected) }
        }
    }

    @Test func equalsByBytes() throws {
        var low = [UInt8](repeating: 0, count: 32)
        var high = low
        low[31] = 0xFF
        high[0] = 1
        #expect(try Hash(low) != Hash(high))
        #expect(try Set([Hash(low), Hash(high), Hash(low)]).count == 2)
    }

    @Test func onlyThirtyTwoBytesAreAHash() {
        for count in [0, 31, 33, 64] {
            #expect(throws: CryptoError.invalidHash) { try Hash([UInt8](repeating: 0, count: count)) }
        }
        #expect(Hash(hex: "00") == nil)
        #expect(Hash(hex: String(repeating: "0", count: 63) + "g") == nil)
        #expect(Hash(hex: String(repeating: "0", count: 66)) == nil)
        #expect(Hash(hex: String(repeating: "0", count: 64)) == .zero)
    }

    /// The input is 0, 1, … 250, 0, … of the given length. Computed with a program whose SHA3-256, which
    /// differs in one byte of padding, agrees with OpenSSL's.
    @Test(arguments: [
        (0, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (3, "f84a97f1f0a956e738abd85c2e0a5026f8874e3ec09c8f012159dfeeaab2b156"),
        (135, "cbdfd9dee5faad3818d6b06f95a219fd290b0e1706f6a82e5a595b9ce9faca62"),
        (136, "7ce759f1ab7f9ce437719970c26b0a66ff11fe3e38e17df89cf5d29c7d7f807e"),
        (137, "ac73d4fae68b8453f764007c1a20ce95994187861f0c3227a3a8e99a73a3b1db"),
        (300, "4699841dafd5e26cca72b05a41d38c96b4b468e5a6cbf694cbebe77dacdf6528"),
    ])
    func keccak256KnownAnswers(_ count: Int, _ digest: String) {
        #expect(Keccak256.hash((0..<count).map { UInt8($0 % 251) }).description == digest)
    }
}
