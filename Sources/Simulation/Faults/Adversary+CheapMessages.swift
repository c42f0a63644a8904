import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// What costs an adversary less than those whom it sends it to.
extension Adversary {
    /// Streams that are opened and reset at once.
    func resetStreams(_ peer: PeerID, _ host: Host) async throws {
        for _ in 0..<Self.flood {
            let stream = try await host.newStream(peer, [.ping])
            if random.oneIn(2) { stream.closeWrite() } else { try await stream.write([1]) }
            stream.reset()
        }
    }

    /// What it speaks, in other words each time.
    func pushIdentify(_ peer: PeerID, _ host: Host) async throws {
        for _ in 0..<30 {
            let info = IdentifyInfo(
                agentVersion: "\(random.next())",
                protocols: host.protocols + [ProtocolID("/\(random.next())")])
            try await Identify.send(info, on: try await host.newStream(peer, [.identifyPush]))
        }
    }

    /// The beginnings of transactions that it has announced.
    func holdBackEnds(_ peer: PeerID, _ host: Host) {
        let size = 1 + Int(random.next() % 200_000)
        for _ in 0..<10 {
            let id = Hash.sha256(of: Array("\(random.next())".utf8))
            Reactor.spawn {
                guard let stream = try? await host.newStream(peer, [TransactionAnnouncementProtocol.id])
                else { return }
                stream.setTimeout(.seconds(20))
                try? await stream.write(Array("txann:\(id)".utf8))
                guard (try? await stream.readExactly(3)) != nil else { return stream.reset() }
                try? await stream.write([UInt8](repeating: 1, count: size))
                _ = try? await stream.read(upTo: 1)
                stream.reset()
            }
        }
    }
}
