import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct PeerIDTests {
    /// Each peer in base58btc, and as CIDs in base32, base36, base58btc and base16. The last peer is an
    /// example from the libp2p specification (peer-ids).
    static let texts = [
        [
            "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
            "bafzaajaiaejcbcui4poxicprsx6vfwznhs5f24wkm4e36hmucin7g5eiag2a6324",
            "BAFZAAJAIAEJCBCUI4POXICPRSX6VFWZNHS5F24WKM4E36HMUCIN7G5EIAG2A6324",
            "k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4",
            "z5AanNVJCxnQAAagES5H8EPxirrGfxGL13JfjVfELpdQ4rkD91Ki5Uf",
            "f01720024080112208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        ],
        [
            "16Uiu2HAkx2kfP117VnYnaQGprgXBoMpjfxGXCpizju3cX7ZUzRhv",
            "bafzaajiiaijccargwp7ssilnvqmhz2rzh6fpnbnnignmszcokxooqpiulsfrv4qtxu",
            "kzwfwjn5ji4pukmxv6q2ach8uj07ppdjpg887ghll4q6vcjjhxaxxnrcdhvi37h",
        ],
        [
            "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
            "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
        ],
    ]

    @Test(arguments: texts) func allTextFormsNameOnePeer(_ forms: [String]) throws {
        let peer = try PeerID(forms[0])
        #expect(peer.description == forms[0])
        #expect(try PeerID(bytes: peer.bytes) == peer)
        for form in forms.dropFirst() { #expect(try PeerID(form) == peer, "\(form)") }
    }

    @Test func onlyIdentityHashesHoldTheKey() throws {
        let inline = try PeerID(Self.texts[0][0])
        let key = try #require(inline.publicKeyProtobuf)
        #expect(key.count == 36)
        #expect(try PeerID(publicKeyProtobuf: key) == inline)
        #expect(try PeerID(Self.texts[2][0]).publicKeyProtobuf == nil)
        #expect(throws: BytesError.tooLarge(43, limit: 42)) {
            try PeerID(publicKeyProtobuf: [UInt8](repeating: 1, count: 43))
        }
    }

    @Test func ordersByBytes() throws {
        let low = try PeerID(bytes: [0, 1, 7])
        let high = try PeerID(bytes: [0, 2, 0, 0])
        #expect(low < high && !(high < low) && !(low < low))
    }

    @Test(arguments: [
        "", "1", "Q", "Qm", "b", "z", "x", "12D3KooW", "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH0",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5",
        "bafzaajaiaejcbcui4poxicprsx6vfwznhs5f24wkm4e36hmucin7g5eiag2a63246",
        "bafybeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",  // codec dag-pb
        "f00720024080112208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",  // CID version 0
    ])
    func badTextIsRefused(_ text: String) {
        #expect(throws: BytesError.self) { try PeerID(text) }
    }

    @Test(
        arguments: [
            [], [0], [0, 0], [0, 1], [0, 2, 1], [0, 1, 1, 1], [0x12, 0x20],
            [0x12, 0x21] + [UInt8](repeating: 0, count: 33),
            [0x13, 0x20] + [UInt8](repeating: 0, count: 32), [0, 43] + [UInt8](repeating: 0, count: 43),
            [0x80, 0x00, 1, 1], [0xFF], [0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [UInt8](repeating: 0, count: 100_000),
        ] as [[UInt8]])
    func badBytesAreRefused(_ bytes: [UInt8]) {
        #expect(throws: BytesError.self) { try PeerID(bytes: bytes) }
    }
}
