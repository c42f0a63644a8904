import Testing

@testable import Storage

@Suite struct CRC32CTests {
    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms.
    static let answers: [(bytes: [UInt8], checksum: UInt32)] = [
        ([UInt8]("123456789".utf8), 0xe306_9283),
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
        ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
        ([UInt8](0..<32), 0x46dd_794e),
        ([UInt8]((0..<32).reversed()), 0x113f_db5c),
        ([], 0),
    ]

    @Test func knownAnswers() {
        for (bytes, expected) in CRC32CTests.answers {
            #expect(bytes.withUnsafeBytes(CRC32C.of) == expected)
            #expect(~bytes.withUnsafeBytes { CRC32C.tableUpdate(~0, $0) } == expected)
        }
    }

    @Test func anyPartitionGivesTheSame() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
        bytes.withUnsafeBytes { bytes in
            for start in 0..<9 {
                for end in start..<bytes.count {
                    let part = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                    let table = ~CRC32C.tableUpdate(~0, part)
                    var pieces = CRC32C()
                    let middle = part.count / 3
                    pieces.update(.init(rebasing: part[..<middle]))
                    pieces.update(.init(rebasing: part[middle...]))
                    #expect(CRC32C.of(part) == table)
                    #expect(pieces.value == table)
                }
            }
        }
    }
}
