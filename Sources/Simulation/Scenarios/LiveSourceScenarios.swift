import Bytes
import Chain
import LibP2P
import Multiformats
import Node
import Protocols
import Reactor
import VirtualIO

extension Scenario {
    /// Peers that claim blocks, withhold them or do not read them, although no other peer waits because of them: they
    /// are disconnected all the same.
    static let liveSources: [Scenario] = [
        Scenario(
            "claimants-on-a-quick-chain",
            "On a chain with ten blocks a second, a claimant that is busy or sends endless blocks is disconnected in minutes.",
            options: {
                $0.blockInterval = .milliseconds(100)
                $0.emptyBlockInterval = .milliseconds(100)
            }
        ) { world in
            try await world.grow(2)
            let kinds: [(BlockSource.Kind, SimulatedNode)] = [
                (.busy, world.nodes[2]), (.giant, world.nodes[3]), (.endless, world.nodes[5]),
            ]
            var sources: [BlockSource] = []
            var claims: [Task<Void, Never>] = []
            for (number, (kind, machine)) in kinds.enumerated() {
                let source = try BlockSource(world, number, kind)
                try await world.admit(source.stranger, at: machine)
                sources.append(source)
                claims.append(source.claims(1_000_000, to: machine))
            }
            // Each node in turn is behind for a moment, hears of true heights, and catches up.
            let cuts = Reactor.spawn {
                while !Task.isCancelled {
                    for (_, machine) in kinds {
                        world.isolate(machine, true)
                        try? await Reactor.sleep(for: .seconds(1))
                        world.isolate(machine, false)
                        try? await Reactor.sleep(for: .seconds(1))
                    }
                }
            }
            defer {
                cuts.cancel()
                for claim in claims { claim.cancel() }
            }
            for ((kind, machine), source) in zip(kinds, sources) {
                try await world.expect("the \(kind) claimant stays", within: .seconds(180)) {
                    !source.stranger.isPeer(of: machine)
                }
                try world.check(source.asked > 0, "no node asks the \(kind) claimant")
            }
            cuts.cancel()
            await cuts.value
            await world.end(sources.map(\.stranger))
        },
        Scenario(
            "reader-that-stands-still",
            "A stranger requests all blocks, reads none and delays nobody: it is disconnected in minutes.",
            options: { $0.clients = 0 }
        ) { world in
            let source = world.nodes[4]
            let text = String(repeating: "x", count: 100_000)
            for number in 0..<12 {
                try await world.commit(
                    .rawStatement(RawStatement("INSERT INTO t VALUES (\(number), '\(text)')")), by: source)
            }
            let reader = try Stranger(world, 1)
            try await world.admit(reader, at: source)
            let tasks = (0..<2).map { _ in
                Reactor.spawn {
                    while !Task.isCancelled {
                        await reader.host.hoard(of: source.key.peerID, for: .seconds(600))
                        try? await Reactor.sleep(for: .milliseconds(100))
                    }
                }
            }
            defer { for task in tasks { task.cancel() } }
            try await world.expect("a peer that does not read stays", within: .seconds(180)) {
                !reader.isPeer(of: source)
            }
            await world.end([reader])
        },
        Scenario(
            "withholder-goes",
            "A stranger that announces each block first and sends none is disconnected, unlike a peer with a slow link.",
            options: { $0.clients = 0 }
        ) { world in
            let (leader, slow, sentry) = (world.nodes[0], world.nodes[3], world.nodes[5])
            try await world.grow(2)
            let link = VirtualNetwork.Link(latency: .milliseconds(1_500), bytesPerSecond: 10_000)
            world.network.setLink(from: slow.setup.address, to: sentry.setup.address, link)
            world.network.setLink(from: sentry.setup.address, to: slow.setup.address, link)
            let stranger = try Stranger(world, 1)
            try await world.admit(stranger, at: sentry)
            world.onNodeEvent = { event, machine in
                guard event == .committed, machine === leader else { return }
                stranger.withholds(machine.committed, of: leader, from: sentry)
            }
            defer { world.onNodeEvent = nil }
            try await world.expect("a peer that withholds blocks stays", within: .seconds(120)) {
                !stranger.isPeer(of: sentry)
            }
            try world.check(
                sentry.node?.connectedPeers.contains(slow.key.peerID) ?? false,
                "a validator with a slow link is disconnected")
            await world.end([stranger])
        },
        Scenario(
            "guests-leave-nothing",
            "Guests claim heights, announce invented blocks, and leave: nodes keep nothing of them.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[5]
            try await world.grow(2)
            guard let stored = try await world.nodes[0].node?.block(at: 2) else { return }
            let block = try Block(decoding: stored.block)
            let info = try CommitInfo(decoding: stored.commitInfo)
            for number in 0..<20 {
                let guest = try Stranger(world, number, isGuest: true)
                try await world.admit(guest, at: sentry)
                await guest.host.claim(1_000_000, to: sentry.key.peerID)
                var header = block.header
                header.height = 1_000 + Int64(number)
                let invented = Block.signed(header, transactions: [], by: guest.key)
                _ = try? await BlockAnnouncementProtocol.announce(
                    SharedBytes(BlockAnnouncement(invented, info).bytes), block: invented.bytes,
                    to: sentry.key.peerID, on: guest.host)
                await world.end([guest])
                try await world.expect("the guest stays") { !guest.isPeer(of: sentry) }
            }
            let names = ["peers to catch up from", "announced blocks noted"]
            try await world.expect("the guests' claims are kept") {
                let peers = sentry.node?.connectedPeers.count ?? 0
                return sentry.node?.holdings.allSatisfy { !names.contains($0.name) || $0.amount <= peers }
                    ?? false
            }
        },
    ]
}
