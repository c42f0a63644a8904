import Collections
import Glibc
import Reactor
import Storage
import VirtualIO

/// Injects random faults one after another until stopped; `stop` then repairs everything.
@ReactorActor
final class FaultInjector {
    private unowned let world: World
    private let interval: Duration
    private let kinds: [FaultKind]
    private var random: SeededGenerator
    private var isOver = false
    /// The validator that lost its disk last. No other may lose its disk until this one has voted again for the
    /// current tip, because only the vote logs of a majority record what may have been decided.
    private var wipedValidator: SimulatedNode?

    init(_ world: World) {
        self.world = world
        interval = world.options.faultInterval ?? .seconds(1)
        kinds = world.options.faultInterval == nil ? [] : world.options.faults
        random = SeededGenerator(seed: world.options.seed, stream: "faults")
    }

    func start() {
        guard !kinds.isEmpty else { return }
        Reactor.spawn { [self] in
            while !isOver, world.failure == nil {
                let mean =
                    interval.components.seconds * 1000 + interval.components.attoseconds
                    / 1_000_000_000_000_000
                try? await Reactor.sleep(for: random.milliseconds(10...max(20, 2 * mean)))
                guard !isOver, let kind = random.pick(kinds), let machine = random.pick(world.nodes) else {
                    continue
                }
                inject(kind, machine)
            }
        }
    }

    /// Ends all faults and repairs their effects, but starts no node.
    func stop() {
        isOver = true
        let network = world.network
        network.defaultLink.lossPerMille = 0
        for (a, b) in pairs() { network.setLink(from: a.setup.address, to: b.setup.address, nil) }
        for machine in world.nodes {
            network.setReadRate(machine.setup.address, bytesPerSecond: nil)
            machine.disk.setHook(nil)
            machine.disk.setCapacity(nil)
            machine.delays = [:]
            machine.clockAway = 0
            machine.application.isTroubled = false
        }
        for machine in world.nodes { network.powerOn(machine.setup.address) }
    }

    private func pairs() -> [(SimulatedNode, SimulatedNode)] {
        world.nodes.flatMap { a in world.nodes.filter { $0 !== a }.map { (a, $0) } }
    }

    private func after(
        _ range: ClosedRange<Int64>, _ body: @escaping @ReactorActor @Sendable () async -> Void
    ) {
        let delay = random.milliseconds(range)
        Reactor.spawn { [self] in
            try? await Reactor.sleep(for: delay)
            if !isOver { await body() }
        }
    }

    private func restart(_ machine: SimulatedNode, _ range: ClosedRange<Int64> = 100...8_000) {
        after(range) { [self] in await world.start(machine) }
    }

    private func inject(_ kind: FaultKind, _ machine: SimulatedNode) {
        let (network, address) = (world.network, machine.setup.address)
        switch kind {
        case .powerFailure: interrupt(machine, kind) { machine.powerFail() }
        case .powerFailureOnDisk:
            if machine.node != nil { crash(machine, after: 1 + Int(random.next() % 40)) }
        case .kill: interrupt(machine, kind) { machine.kill() }
        case .restart: restartInOrder(machine)
        case .wipe:
            guard machine.node != nil, mayLoseDisk(machine) else { return }
            interrupt(machine, kind) {
                machine.powerFail()
                world.wiped(machine)
            }
        case .partition: partition()
        case .cut: cutLinks()
        case .degrade: degrade(machine)
        case .reset:
            world.count(kind.rawValue, machine.name)
            network.resetConnections(of: address)
        case .slowReader:
            disturb(machine, kind) {
                network.setReadRate(address, bytesPerSecond: Int(random.next() % 20_000) + 500)
            } until: {
                network.setReadRate(address, bytesPerSecond: nil)
            }
        case .clockJump:
            world.count(kind.rawValue, machine.name)
            machine.clockSkew += Int64(random.next() % 4_000) - 2_000
        case .clockAway:
            disturb(machine, kind) {
                // Further than any other node accepts, ahead or behind.
                let minutes = 1 + Int64(random.next() % 20)
                machine.clockAway = (random.oneIn(2) ? 1 : -1) * minutes * 60_000
            } until: {
                machine.clockAway = 0
            }
        case .fullDisk:
            disturb(machine, kind) {
                machine.mayFail = true
                machine.disk.setCapacity(machine.disk.usedBytes + Int(random.next() % 4_000))
            } until: {
                machine.disk.setCapacity(nil)
            }
        case .diskError: breakDisk(machine)
        case .slowDisk: slow(machine, "storage", kind)
        case .slowExecution: slow(machine, "execution", kind)
        case .slowMempool: slow(machine, "mempool", kind)
        case .slowConsensus: slow(machine, "consensus", kind)
        case .executionError:
            disturb(machine, kind) {
                machine.application.isTroubled = true
            } until: {
                machine.application.isTroubled = false
            }
        case .bitFlip: flipBit(machine)
        case .stateFile: tamperWithState(machine)
        }
    }

    /// Ends a running node by `how` and starts it again later.
    private func interrupt(_ machine: SimulatedNode, _ kind: FaultKind, _ how: () -> Void) {
        guard machine.node != nil else { return }
        world.count(kind.rawValue, machine.name)
        how()
        restart(machine)
    }

    private func restartInOrder(_ machine: SimulatedNode) {
        guard machine.node != nil else { return }
        world.count(FaultKind.restart.rawValue, machine.name)
        Reactor.spawn { [self] in
            await machine.stop()
            restart(machine, 10...2_000)
        }
    }

    /// Begins a fault, and ends it within ten seconds.
    private func disturb(
        _ machine: SimulatedNode, _ kind: FaultKind, _ begin: () -> Void,
        until end: @escaping @ReactorActor @Sendable () async -> Void
    ) {
        world.count(kind.rawValue, machine.name)
        begin()
        after(500...10_000, end)
    }

    private func partition() {
        let parts = world.nodes.map { _ in random.oneIn(2) }
        world.count(FaultKind.partition.rawValue, "\(parts)")
        cut { a, b in parts[a] != parts[b] }
    }

    private func cutLinks() {
        let chosen = pairs().map { _ in random.oneIn(4) }
        world.count(FaultKind.cut.rawValue, "")
        let count = world.nodes.count
        cut { a, b in a < b ? chosen[a * (count - 1) + b - 1] : chosen[a * (count - 1) + b] }
    }

    /// Flips a bit in a machine's files. The vote log keeps every vote twice; the block log has no second copy. A node
    /// that finds the damage gets an empty disk.
    private func flipBit(_ machine: SimulatedNode) {
        guard mayLoseDisk(machine), let flipped = machine.disk.flipBit(where: { !$0.hasSuffix("/LOCK") })
        else { return }
        world.count(FaultKind.bitFlip.rawValue, "\(machine.name) \(flipped.path) \(flipped.offset)")
        machine.isDamaged = true
    }

    private func tamperWithState(_ machine: SimulatedNode) {
        guard machine.node != nil, let how = random.pick(StateTampering.allCases) else { return }
        // A pruned log does not begin with the first block, so nothing can replace the file.
        if machine.setup.configuration.storage.keepBlocks > 0 {
            guard mayLoseDisk(machine) else { return }
            machine.isDamaged = true
        }
        world.count(FaultKind.stateFile.rawValue, "\(machine.name) \(how)")
        machine.kill()
        // The disk may be full.
        try? how.apply(to: machine, &random)
        restart(machine)
    }

    private func crash(_ machine: SimulatedNode, after count: Int) {
        let (left, life) = (Countdown(count), machine.life)
        machine.disk.setHook { [self] operation in
            ReactorActor.assumeIsolated {
                guard left.next(), machine.life == life, machine.node != nil, !isOver else { return }
                world.count(FaultKind.powerFailureOnDisk.rawValue, "\(machine.name) \(operation)")
                machine.disk.setHook(nil)
                machine.powerFail()
                restart(machine)
            }
            return nil
        }
    }

    private func breakDisk(_ machine: SimulatedNode) {
        let left = Countdown(1 + Int(random.next() % 20))
        machine.mayFail = true
        machine.disk.setHook { [self] operation in
            ReactorActor.assumeIsolated {
                guard left.next(), !isOver else { return nil }
                world.count(FaultKind.diskError.rawValue, "\(machine.name) \(operation)")
                machine.disk.setHook(nil)
                return EIO
            }
        }
    }

    /// Returns whether the network's decisions survive the loss of this machine's disk.
    private func mayLoseDisk(_ machine: SimulatedNode) -> Bool {
        let validators = world.chain.committed(at: world.chain.tip)?.validators ?? world.genesis.validators
        guard validators.contains(machine.key) else { return true }
        guard validators.count > 3 else { return false }
        if let wiped = wipedValidator, wiped !== machine,
            wiped.isDamaged || !world.votes.remembers(wiped.key, to: world.chain.tip)
        {
            return false
        }
        wipedValidator = machine
        return true
    }

    private func slow(_ machine: SimulatedNode, _ worker: String, _ kind: FaultKind) {
        world.count(kind.rawValue, machine.name)
        machine.delays[worker] = random.milliseconds(20...3_000)
        after(1_000...10_000) { machine.delays[worker] = nil }
    }

    private func cut(_ isCut: (Int, Int) -> Bool) {
        var directions: [(SimulatedNode, SimulatedNode)] = []
        for a in world.nodes.indices {
            for b in world.nodes.indices where a != b && isCut(a, b) {
                directions.append((world.nodes[a], world.nodes[b]))
            }
        }
        for (a, b) in directions {
            var link = world.network.link(from: a.setup.address, to: b.setup.address)
            link.isCut = true
            world.network.setLink(from: a.setup.address, to: b.setup.address, link)
        }
        after(500...15_000) { [world, directions] in
            for (a, b) in directions {
                world.network.setLink(from: a.setup.address, to: b.setup.address, nil)
            }
        }
    }

    private func degrade(_ machine: SimulatedNode) {
        world.count(FaultKind.degrade.rawValue, machine.name)
        let link = VirtualNetwork.Link(
            latency: random.milliseconds(50...1_000), jitter: random.milliseconds(0...500),
            bytesPerSecond: Int(random.next() % 200_000) + 5_000, lossPerMille: Int(random.next() % 200))
        let others = world.nodes.filter { $0 !== machine }
        for other in others {
            world.network.setLink(from: machine.setup.address, to: other.setup.address, link)
            world.network.setLink(from: other.setup.address, to: machine.setup.address, link)
        }
        after(1_000...15_000) { [world] in
            for other in others {
                world.network.setLink(from: machine.setup.address, to: other.setup.address, nil)
                world.network.setLink(from: other.setup.address, to: machine.setup.address, nil)
            }
        }
    }
}

/// Returns true once, at the given call.
@ReactorActor
private final class Countdown {
    private var left: Int

    init(_ count: Int) { left = count }

    func next() -> Bool {
        left -= 1
        return left == 0
    }
}
