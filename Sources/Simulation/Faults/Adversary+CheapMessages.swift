import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Messages that cost an adversary less than they cost the receiver.
extension Adversary {
    /// Opens streams and resets each of them at once.
    func resetStreams(_ peer: PeerID, _ host: Host) async throws {
        for _ in 0..<Self.flood {
            let stream = try await host.newStream(peer, [.ping])
            if random.oneIn(2) { stream.closeWrite() } else { try await stream.write([1]) }
            stream.reset()
        }
    }

    /// Pushes a different list of protocols each time.
    func pushIdentify(_ peer: PeerID, _ host: Host) async throws {
        for _ in 0..<30 {
            let info = IdentifyInfo(
                agentVersion: "\(random.next())",
                protocols: host.protocols + [ProtocolID("/\(random.next())")])
            try await Identify.send(info, on: try await host.newStream(peer, [.identifyPush]))
        }
    }

    /// Announces transactions and sends only the beginning of each.
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
