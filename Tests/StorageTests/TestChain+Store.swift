import Chain
import TestSupport

@testable import Storage

extension TestChain {
    /// Appends blocks to a store.
    func append(_ range: Range<Int>, to store: BlockStore) throws {
        for link in links[range] { try store.append(link.hashed, link.commitInfo, link.results) }
    }

    /// Appends blocks to a store at once.
    func appendTogether(_ range: Range<Int>, to store: BlockStore) throws {
        try store.append(links[range].map { .init($0.hashed, $0.commitInfo, $0.results) })
    }
}

extension TestChain.Link {
    /// The size of the block's record without padding.
    var contentSize: Int {
        let results = ResultList(results).bytes.count
        return BlockRecord.headerSize + block.bytes.count + commitInfo.bytes.count + results
    }

    /// The size of the block's record.
    var size: Int { (contentSize + 7) / 8 * 8 }
}

extension TemporaryDirectory {
    /// The paths of the segments, in order.
    var segments: [String] {
        get throws {
            try TestFile.names(in: path).filter { $0.hasSuffix(".blocks") }.map { path + "/" + $0 }
        }
    }
}
