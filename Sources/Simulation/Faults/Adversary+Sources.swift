import Bytes
import Chain
import Collections
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Attacks by an adversary as a source of blocks, and on sources.
extension Adversary {
    /// Asks for all blocks on several streams and reads none.
    func hoard(_ peer: PeerID, _ host: Host) {
        for _ in 0..<1 + Int(random.next() % 6) {
            Reactor.spawn { await host.hoard(of: peer, for: .seconds(10)) }
        }
    }

    /// Returns a proposal of the next height, newer than any other, that carries the signature of an old block.
    func replay(of block: Block) -> BlockProposal {
        let tip = world.chain.tip
        return BlockProposal(
            height: tip + 1, hash: block.hash, previousHash: world.chain.committed(at: tip)?.hash ?? .zero,
            stamp: .max, leaderSignature: block.signature, senderKey: SharedBytes(world.nodes[0].key.bytes))
    }

    /// Announces the newest committed block and withholds its body.
    func withhold(_ peer: PeerID, _ host: Host) async throws {
        guard let source = world.nodes.max(by: { $0.committed < $1.committed })?.node,
            let stored = try? await source.block(at: 0), let block = try? Block(decoding: stored.block),
            let info = try? CommitInfo(decoding: stored.commitInfo)
        else { return }
        let announcement = BlockAnnouncement(block, info)
        Reactor.spawn { await host.withhold(announcement, from: peer, for: .seconds(20)) }
    }

    /// Sends the beginning of a block, then single bytes that never complete it.
    func drip(on stream: LibP2P.Stream) async {
        var head = ByteWriter()
        if stream.protocolID == BlockRangeProtocol.id {
            guard let known else { return stream.reset() }
            head.put(u8: 1)
            head.put(u8: 0)
            head.put(i64: known.block.height)
            for count in [0, 100_000, 100_000] { head.put(u32: UInt32(clamping: count)) }
        } else {
            head.put(u8: 1)
            head.put(bytes: known?.block.hash ?? .zero)
            head.put(varint: 0)
            head.put(varint: 100_000)
        }
        do {
            try await stream.write(head.bytes)
            for _ in 0..<100 {
                try await stream.write([0])
                try await Reactor.sleep(for: .milliseconds(400))
            }
        } catch {
            // The node closed or reset the stream.
        }
        stream.reset()
    }
}
