import Chain
import LibP2P
import Node
import Reactor
import VirtualIO

extension Scenario {
    /// Faults at critical moments.
    static let faults: [Scenario] = [
        Scenario(
            "leader-dies-proposing", "The leader loses power right after signing a proposal, three times."
        ) {
            world in
            try await world.strike(.proposed, at: 0, times: 3)
        },
        Scenario("leader-dies-committing", "The leader loses power after a commit, before others hear of it.")
        {
            world in
            try await world.strike(.committed, at: 0, times: 3)
        },
        Scenario(
            "validator-dies-voting", "A validator loses power between recording its vote and sending it."
        ) {
            world in
            try await world.strike(.voted, at: 1, times: 5)
        },
        Scenario(
            "lost-announcement", "A validator that has voted misses the decision and learns of it later."
        ) {
            world in
            let machine = world.nodes[3]
            for _ in 0..<3 {
                try await world.next(.voted, at: machine)
                world.isolate(machine, true)
                try await world.grow(3)
                world.isolate(machine, false)
                try await world.expect("it does not catch up") { machine.committed >= world.chain.tip - 1 }
            }
        },
        Scenario(
            "empty-peers",
            "A node with ten peers without blocks and two with blocks catches up (kwil-db, issue 1527).",
            options: {
                $0.validators = 2
                $0.sentries = 11
            }
        ) { world in
            let (full, rest) = (Array(world.nodes.prefix(2)), Array(world.nodes.dropFirst(2)))
            let (empty, last) = (Array(rest.dropLast()), world.nodes[12])
            for machine in rest {
                machine.powerFail()
                world.wiped(machine)
            }
            world.part(empty, from: full, true)
            try await world.grow(30)
            for machine in empty { await world.start(machine) }
            try await Reactor.sleep(for: .seconds(5))
            last.setup.configuration.p2p.bootnodes = (empty + full).map { world.bootnode($0) }
            await world.start(last)
            try await world.expect("it does not catch up") { last.committed >= 30 }
            world.part(empty, from: full, false)
        },
        Scenario(
            "leader-partitioned",
            "A leader with a minority commits nothing, and goes on when it is reconnected."
        ) {
            world in
            try await world.grow(3)
            let (minority, majority) = ([world.nodes[0], world.nodes[4]], Array(world.nodes[1...3]))
            world.part(minority, from: majority + [world.nodes[5]], true)
            // A block agreed on before may still be committed.
            try await Reactor.sleep(for: .seconds(2))
            let tip = world.chain.tip
            try await Reactor.sleep(for: .seconds(30))
            guard world.chain.tip == tip else { throw CheckerFailure("scenario", "a minority has committed") }
            world.part(minority, from: majority + [world.nodes[5]], false)
            try await world.grow(5)
        },
        Scenario("slow-validator", "A validator still executes a block when its commit is announced.") {
            world in
            let machine = world.nodes[2]
            machine.delays["execution"] = .seconds(3)
            try await world.grow(15)
            machine.delays = [:]
            try await world.expect("it does not catch up") { machine.committed >= world.chain.tip - 1 }
        },
        Scenario("many-relays", "Each validator downloads a proposal once, however many peers announce it.") {
            $0.validators = 7
            $0.sentries = 1
        } script: { world in
            try await world.grow(10)
        },
        Scenario(
            "full-disks", "Leader and validator run out of disk space, and go on when there is space again."
        ) {
            world in
            try await world.grow(3)
            for machine in [world.nodes[1], world.nodes[0]] {
                machine.mayFail = true
                machine.disk.setCapacity(machine.disk.usedBytes + 300)
                try await Reactor.sleep(for: .seconds(15))
                machine.disk.setCapacity(nil)
                try await world.grow(3)
            }
        },
        Scenario(
            "wiped-nodes",
            "A sentry and a validator lose their disks one after the other and sync the chain."
        ) {
            world in
            for machine in [world.nodes[4], world.nodes[3]] {
                try await world.grow(10)
                machine.powerFail()
                world.wiped(machine)
                try await world.grow(3)
                await world.start(machine)
                try await world.expect("\(machine.name) does not catch up") {
                    machine.committed >= world.chain.tip - 1
                }
            }
        },
        Scenario(
            "torn-runs",
            "A node that catches up loses power, or is killed, while it appends several blocks at once.",
            options: {
                $0.execution = .sql
                $0.clients = 0
            }
        ) { world in
            let (source, sentry) = (world.nodes[1], world.nodes[5])
            world.makeNewcomer(sentry, bootnode: source)
            try await world.grow(60)
            world.isolate(sentry, false)
            for round in 0..<12 {
                // Power fails when the bytes are written, but not synchronized; a kill comes amid the write.
                if round % 3 < 2 {
                    try await world.tear(sentry, before: .synchronize) { sentry.powerFail() }
                } else {
                    try await world.tear(sentry, before: .write) { sentry.kill() }
                }
                await world.start(sentry)
                if round % 2 == 1 {
                    let tip = world.chain.tip
                    try await world.expect("it does not catch up") { sentry.committed >= tip }
                    sentry.powerFail()
                    world.wiped(sentry)
                } else {
                    sentry.kill()
                }
            }
            await world.start(sentry)
        },
        Scenario(
            "pruned-logs",
            "Two nodes keep few blocks: they serve those, name the others, start again, and do not hinder a node that needs all."
        ) {
            $0.execution = .sql
            $0.keptBlocks = 5
        } script: { world in
            // The newcomer's only bootnode is one of the two.
            let (pruned, newcomer) = (world.nodes[5], world.nodes[4])
            try await world.grow(60)
            try await world.expect("no blocks are dropped") { pruned.node?.firstHeight ?? 0 > 20 }
            do {
                _ = try await pruned.node?.block(at: 1)
                throw CheckerFailure("scenario", "a dropped block is not named")
            } catch NodeError.pruned {}
            for crash in [pruned.powerFail, pruned.kill] {
                crash()
                await world.start(pruned)
                try await world.grow(10)
            }
            newcomer.powerFail()
            world.wiped(newcomer)
            await world.start(newcomer)
            let tip = world.chain.tip
            try await world.expect("the newcomer does not catch up") { newcomer.committed >= tip }
            try await world.expect("the newcomer and a node that lacks blocks part") {
                newcomer.node?.connectedPeers.contains(world.nodes[2].key.peerID) ?? false
            }
        },
        Scenario("adversaries", "Three hosts forge, lie, flood and stall while the network works.") {
            $0.adversaries = 3
        } script: { world in
            try await world.grow(40)
        },
    ]
}

extension World {
    /// Waits for an event of a machine's node.
    func next(_ event: NodeEvent, at machine: SimulatedNode) async throws {
        var isDone = false
        onNodeEvent = { if $0 == event, $1 === machine { isDone = true } }
        defer { onNodeEvent = nil }
        try await expect("\(machine.name): no \(event)") { isDone }
    }

    /// Starts a machine that is off and `end`s it at an operation on the block log that concerns several blocks.
    fileprivate func tear(
        _ machine: SimulatedNode, before kind: VirtualDisk.Operation.Kind,
        _ end: @escaping @ReactorActor @Sendable () -> Void
    ) async throws {
        let tear = Tear()
        machine.disk.setHook { operation in
            ReactorActor.assumeIsolated {
                if tear.isDue(operation, kind) { end() }
            }
            return nil
        }
        defer { machine.disk.setHook(nil) }
        await start(machine)
        try await expect("\(machine.name) does not append several blocks at once") { tear.isDone }
    }

    /// Cuts a machine's power each time right after an event of its node; the network goes on afterwards.
    fileprivate func strike(_ event: NodeEvent, at index: Int, times: Int) async throws {
        let machine = nodes[index]
        for _ in 0..<times {
            try await grow(2)
            var isStruck = false
            onNodeEvent = { [unowned self] in
                guard $0 == event, $1 === machine else { return }
                onNodeEvent = nil
                Reactor.enqueue {
                    machine.powerFail()
                    isStruck = true
                }
            }
            try await expect("\(machine.name): no \(event)") { isStruck }
            try await Reactor.sleep(for: .seconds(3))
            await start(machine)
        }
        try await grow(3)
    }
}

/// Recognizes the first append of several blocks.
@ReactorActor
private final class Tear {
    /// What several records have at least, and one without transactions has not, in bytes.
    private static let several = 4 << 10
    private(set) var isDone = false
    private var written = 0

    /// Returns true once: before the write, or the synchronization, of such an append.
    func isDue(_ operation: VirtualDisk.Operation, _ kind: VirtualDisk.Operation.Kind) -> Bool {
        guard !isDone, operation.path.hasSuffix(".blocks") else { return false }
        if operation.kind == .write { written = operation.bytes }
        isDone = operation.kind == kind && written >= Self.several
        return isDone
    }
}
