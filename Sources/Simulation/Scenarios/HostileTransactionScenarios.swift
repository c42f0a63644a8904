import Bytes
import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

extension Scenario {
    /// Strangers that announce transactions and do not deliver them.
    static let hostileTransactions: [Scenario] = [
        Scenario(
            "invented-transactions",
            "Eight strangers that announce transactions that do not exist delay no other, and are disconnected.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let announcers = try await world.announcers(8, at: sentry) { stranger, stream in
                while !stranger.isOver {
                    for _ in 0..<8 {
                        try await stream.write(
                            TransactionMischief.announcement(of: stranger.inventions(1_024)))
                    }
                    try await Reactor.sleep(for: .milliseconds(1_500))
                }
            }
            try await Reactor.sleep(for: .seconds(6))
            let witness = try Witness(world, 1)
            try await witness.join(world, [sentry])
            let transaction = try world.transfer(nonce: 1)
            try world.check(
                await TransactionAnnouncementProtocol.announce(
                    transaction.id, transaction.bytes, to: sentry.key.peerID, on: witness.host),
                "an announced transaction is not fetched")
            try await world.expectCommitted([transaction.id], within: .seconds(10))
            try await world.expect("a peer that delivers nothing stays", within: .seconds(120)) {
                announcers.allSatisfy { $0.dismissals > 0 }
            }
            try world.check(witness.stranger.isPeer(of: sentry), "a peer that delivers is disconnected")
            for announcer in announcers { await announcer.stop() }
            await witness.stop()
        },
        Scenario(
            "silent-announcers",
            "Five strangers that announce first and stay silent delay a transaction by seconds, and later ones less.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let transactions = try (1...4).map { try world.transfer(nonce: $0) }
            let witness = try Witness(world, 1)
            try await witness.join(world, [sentry])
            for transaction in transactions { witness.keep(transaction) }
            let announcers = try await world.announcers(5, at: sentry) { stranger, stream in
                for (index, transaction) in transactions.enumerated() {
                    while stranger.step <= index, !stranger.isOver {
                        try await Reactor.sleep(for: .milliseconds(100))
                    }
                    try await stream.write(TransactionMischief.announcement(of: [transaction.id]))
                }
                while !stranger.isOver { try await Reactor.sleep(for: .seconds(1)) }
            }
            for (index, limit) in [Duration.seconds(10), .seconds(10), .seconds(10), .seconds(6)].enumerated()
            {
                for announcer in announcers { announcer.step += 1 }
                try await Reactor.sleep(for: .seconds(1))
                let transaction = transactions[index]
                Reactor.spawn {
                    _ = try? await TransactionAnnouncementProtocol.announce(
                        transaction.id, transaction.bytes, to: sentry.key.peerID, on: witness.host)
                }
                try await world.expectCommitted([transaction.id], within: limit)
                // Until the peers asked have been silent for long enough.
                try await Reactor.sleep(for: .seconds(12))
            }
            for announcer in announcers { await announcer.stop() }
            await witness.stop()
        },
        Scenario(
            "half-sent-transactions",
            "Strangers that begin long transactions on many streams and never end them cost a node little memory.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let sent = Counter()
            var strangers: [Stranger] = []
            for number in 0..<3 {
                let stranger = try Stranger(world, 40 + number)
                try await world.admit(stranger, at: sentry)
                for stream in 0..<40 {
                    let id = Hash.sha256(of: Array("half \(number) \(stream)".utf8))
                    Reactor.spawn {
                        try? await TransactionMischief.sendHalf(
                            id, 5_000_000, to: sentry, from: stranger.host
                        ) { sent.value += $0 }
                    }
                }
                strangers.append(stranger)
            }
            try await Reactor.sleep(for: .seconds(10))
            // Four transactions of each stranger whole, and a window of each other one.
            try world.check(
                sent.value < 3 * (4 * 5_000_000 + 40 * 600_000), "\(sent.value) bytes are accepted")
            let own = try await world.send(3, at: sentry, from: 1)
            try await world.expectCommitted(own, within: .seconds(10))
            try await Reactor.sleep(for: .seconds(60))
            for stranger in strangers { await stranger.host.stop() }
        },
    ]
}

/// A stranger with a stream of announcements.
@ReactorActor
final class Announcer {
    let stranger: Stranger
    private(set) var isOver = false
    /// The number of disconnections.
    private(set) var dismissals = 0
    /// The step up to which its script may go.
    var step = 0
    private var random: SeededGenerator

    init(_ world: World, _ number: Int) throws {
        stranger = try Stranger(world, number)
        random = SeededGenerator(seed: world.options.seed, stream: "announcer \(number)")
        stranger.host.observe { [weak self] event in
            if case .disconnected = event { self?.dismissals += 1 }
        }
    }

    /// Returns IDs of transactions that do not exist.
    func inventions(_ count: Int) -> [Hash] { TransactionMischief.inventions(count, &random) }

    func stop() async {
        isOver = true
        await stranger.host.stop()
    }
}

/// A number that several tasks add to.
@ReactorActor
final class Counter {
    var value = 0
}

/// Ways to announce transactions without delivering them.
@ReactorActor
enum TransactionMischief {
    /// Returns a frame of `/apus/txann/1.0.0` that announces transactions.
    static func announcement(of ids: [Hash]) -> [UInt8] {
        var frame = ByteWriter()
        frame.put(u8: 1)
        frame.put(u16: UInt16(clamping: ids.count))
        for id in ids { frame.put(bytes: id) }
        return frame.bytes
    }

    /// Returns IDs of transactions that do not exist.
    static func inventions(_ count: Int, _ random: inout SeededGenerator) -> [Hash] {
        (0..<count).map { _ in Hash.sha256(of: withUnsafeBytes(of: random.next()) { Array($0) }) }
    }

    /// Announces a transaction on a stream of its own, sends `count` bytes on request, and withholds the end.
    static func sendHalf(
        _ id: Hash, _ count: Int, to target: SimulatedNode, from host: Host, sent: (Int) -> Void = { _ in }
    ) async throws {
        let stream = try await host.newStream(target.key.peerID, [TransactionAnnouncementProtocol.id])
        stream.setTimeout(.seconds(60))
        try await stream.write(Array("txann:\(id)".utf8))
        _ = try await stream.readExactly(3)
        let piece = [UInt8](repeating: 0, count: 50_000)
        for _ in 0..<max(1, count / piece.count) {
            try await stream.write(piece)
            sent(piece.count)
        }
        _ = try? await stream.readToEnd(limit: 1)
    }
}

extension World {
    /// Returns strangers that are peers of a machine, each with a stream of announcements on which it runs `script`.
    /// They read and ignore the machine's replies, and reopen streams that end.
    func announcers(
        _ count: Int, at machine: SimulatedNode,
        script: @escaping @ReactorActor (Announcer, LibP2P.Stream) async throws -> Void
    ) async throws -> [Announcer] {
        var announcers: [Announcer] = []
        for number in 0..<count {
            let announcer = try Announcer(self, 20 + number)
            try await admit(announcer.stranger, at: machine)
            announcers.append(announcer)
        }
        for announcer in announcers {
            Reactor.spawn {
                while !announcer.isOver {
                    let host = announcer.stranger.host
                    if let stream = try? await host.newStream(
                        machine.key.peerID, [TransactionBatchProtocol.id])
                    {
                        Reactor.spawn {
                            while let bytes = try? await stream.read(upTo: 65_536), !bytes.isEmpty {}
                        }
                        try? await script(announcer, stream)
                        stream.reset()
                    }
                    try? await Reactor.sleep(for: .seconds(1))
                }
            }
        }
        return announcers
    }
}
