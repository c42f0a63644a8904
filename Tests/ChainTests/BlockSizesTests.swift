import Bytes
import Crypto
import Testing

@testable import Chain

/// The block sizes that readers accept follow the chain's parameters and suffice for every block that they
/// allow.
@Suite struct BlockSizesTests {
    @Test(arguments: [1, 1_000, 100_000, 6 << 20]) func theLargestBlockFits(_ size: Int) throws {
        var parameters = NetworkParameters(leader: nil)
        parameters.maxBlockSize = Int64(size)
        let sizes = BlockSizes(parameters, validators: 4)
        // As many lengths as possible, and few.
        for length in [6, 100, size] where length <= size {
            let count = size / length
            let transactions = [SharedBytes](
                repeating: SharedBytes([UInt8](repeating: 7, count: length)), count: count)
            let header = BlockHeader(
                height: 1, transactionCount: UInt32(count), previousHash: .zero, previousAppHash: .zero,
                validatorSetHash: .zero, networkParametersHash: .zero, timestamp: 1, merkleRoot: .zero)
            let block = Block(
                header: header, signature: [UInt8](repeating: 1, count: 65), transactions: transactions)
            #expect(block.bytes.count <= sizes.block)
        }
        #expect(sizes.block <= size * 7 / 6 + 2_048)
    }

    @Test func neverMoreThanTheFormatsAllow() {
        var parameters = NetworkParameters(leader: nil)
        parameters.maxBlockSize = .max
        #expect(BlockSizes(parameters, validators: .max) == .largest)
        parameters.maxBlockSize = 6 << 20
        #expect(BlockSizes(parameters, validators: 100).block < 8 << 20)
    }
}
