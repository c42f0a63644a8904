import Chain
import TestSupport

@testable import Storage

extension TestChain {
    /// Appends blocks to a store.
    func append(_ range: Range<Int>, to store: BlockStore) throws {
        for link in links[range] { try store.append(link.hashed, link.commitInfo, link.results) }
    }
}

extension TestChain.Link {
    /// The size of the block's record.
    var size: Int {
        let results = ResultList(results).bytes.count
        let whole = BlockRecord.headerSize + block.bytes.count + commitInfo.bytes.count + results
        return (whole + 7) / 8 * 8
    }
}

extension TemporaryDirectory {
    /// The paths of the segments, in order.
    var segments: [String] {
        get throws {
            try TestFile.names(in: path).filter { $0.hasSuffix(".blocks") }.map { path + "/" + $0 }
        }
    }
}
