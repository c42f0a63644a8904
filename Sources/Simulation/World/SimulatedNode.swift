import Bytes
import Chain
import Collections
import Crypto
import Execution
import LibP2P
import Node
import Reactor
import Storage
import VirtualIO

/// A machine of a simulation: its disk, clock, address, and its node while one runs.
@ReactorActor
final class SimulatedNode {
    /// The state of the machine's process.
    enum State {
        case off
        case starting
        case running(Node)
    }

    /// The inputs from which the machine's nodes are built.
    struct Setup {
        let name: String
        let key: PrivateKey
        let address: SocketAddress
        let genesis: Genesis
        var configuration: Configuration
        /// The directory of SQLite's files; nil for the no-op application, which has none.
        let applicationDirectory: String?
        /// The maximum number of transactions in a block; nil for no limit.
        let blockBudget: Int?
        /// Whether the machine's nodes take compact proposals, which nodes of other makes do not.
        var takesCompactProposals = true
    }

    var setup: Setup
    let disk: VirtualDisk
    private(set) var state = State.off
    /// Counts starts and ends, so that events of a former process can be told apart.
    private(set) var life = 0
    /// The highest height that a process of this machine committed to its present disk.
    var committed: Int64 = 0
    /// Whether the disk is damaged, so that the node may refuse to start.
    var isDamaged = false
    /// The file `STATE` as it was when a fault last changed it.
    var formerState: [UInt8]?
    /// Whether a fault explains a failure of the process.
    var mayFail = false
    /// Proposals that the current process has fetched.
    var downloads: Set<Hash> = []
    /// The clock's offset from the true time, in milliseconds.
    var clockSkew: Int64
    /// The additional offset of a clock that is plainly wrong, in milliseconds.
    var clockAway: Int64 = 0
    /// The reading of a stopped clock, in milliseconds since 1970; nil while the clock runs.
    var clockStopped: UInt64?
    /// The duration of a worker's job, by the worker's name.
    var delays: [String: Duration] = [:]
    /// The fault state of the machine's application.
    let application = SimulatedApplication.Machine()
    /// Repeats the machine's executions where the application is SQL; outlives process and disk.
    private var twin: TwinChecker?
    /// The node's address book; like its file, it outlives the process.
    private(set) var book = PeerStore()
    private let keys: KeyStream

    init(_ setup: Setup, seed: UInt64, clockSkew: Int64) {
        self.setup = setup
        self.clockSkew = clockSkew
        disk = VirtualDisk(seed: SeededGenerator.first(seed: seed, stream: "disk \(setup.name)"))
        keys = KeyStream(seed: seed, "keys \(setup.name)")
        forgetPeers()
    }

    /// Empties the address book.
    func forgetPeers() {
        book = PeerStore { [weak self] in
            Int64((ReactorActor.assumeIsolated { self?.wallClock ?? 0 }) / 1_000)
        }
    }

    var name: String { setup.name }
    var key: PublicKey { setup.key.publicKey }

    var node: Node? {
        if case .running(let node) = state { node } else { nil }
    }

    var isOff: Bool {
        if case .off = state { true } else { false }
    }

    /// The true time at which simulations begin, in milliseconds since 1970.
    nonisolated static let epoch: Int64 = 1_750_000_000_000

    /// The machine's wall clock, in milliseconds since 1970.
    var wallClock: UInt64 {
        if let clockStopped { return clockStopped }
        let parts = Reactor.now.components
        let elapsed = parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        return UInt64(max(0, Self.epoch + elapsed + clockSkew + clockAway))
    }

    // MARK: Life

    /// Starts a node and throws its startup error. `observer` receives the number of the new life.
    func start(_ observer: (Int) -> NodeObserver) async throws {
        guard case .off = state else { return }
        state = .starting
        life += 1
        downloads = []
        let life = life
        do {
            let node = try await Node.start(
                genesis: setup.genesis, key: setup.key, configuration: setup.configuration,
                environment: environment(observer(life)))
            guard life == self.life else { return node.abandon() }
            state = .running(node)
        } catch {
            guard life == self.life else { return }
            state = .off
            disk.kill()
            throw error
        }
    }

    /// Creates the twin that repeats the machine's executions and passes differences to `report`.
    func startTwin(seed: UInt64, _ report: @escaping (CheckerFailure) -> Void) {
        guard let directory = setup.applicationDirectory else { return }
        twin = TwinChecker(
            of: name, seed: seed, directory: "\(directory)-twin", genesis: setup.genesis, report: report)
    }

    /// Closes and removes the twin.
    func endTwin() {
        twin?.close()
        twin = nil
    }

    private func environment(_ observer: NodeObserver) -> NodeEnvironment {
        let (mount, directory) = (disk.mount(), setup.applicationDirectory)
        // A pruned log needs short segments to have some to drop.
        let segmentSize = setup.configuration.storage.keepBlocks > 0 ? 4 << 10 : 64 << 10
        let (machine, budget, twin) = (application, setup.blockBudget, twin)
        let clock: @Sendable () -> UInt64 = { [weak self] in
            ReactorActor.assumeIsolated { self?.wallClock ?? 0 }
        }
        var environment = NodeEnvironment(
            openStores: {
                try mount.makeDirectory("node")
                let store = try BlockStore(
                    directory: "node/blocks", segmentSize: segmentSize, indexLimits: IndexLimits(entries: 64),
                    disk: mount)
                return (store, try VoteLog(directory: "node/blocks", disk: mount))
            },
            openApplication: {
                func simulated(_ application: any Application) -> SimulatedApplication {
                    SimulatedApplication(application, on: machine, blockBudget: budget, twin: twin)
                }
                guard let directory else { return simulated(NoopApplication()) }
                try DirectoryTree.create(directory)
                return simulated(try SQLApplication(directory: directory))
            },
            peerStore: book, wallClock: clock)
        environment.observer = observer
        environment.stateInterval = 4
        environment.takesCompactProposals = setup.takesCompactProposals
        environment.dialFrom = setup.address.with(port: 0)
        environment.noiseKeys = keys.make
        environment.makeWorker = { name, capacity, kind in
            Worker(name: name, capacity: capacity, kind: kind) { [weak self] in
                ReactorActor.assumeIsolated { self?.delays[name] ?? .zero }
            }
        }
        return environment
    }

    /// Cuts the machine's power.
    func powerFail() {
        disk.powerFail()
        VirtualNetwork.current?.powerFail(setup.address)
        end()
    }

    /// Kills the process.
    func kill() {
        disk.kill()
        VirtualNetwork.current?.kill(setup.address)
        end()
    }

    /// Stops the process as its operator does.
    func stop() async {
        guard case .running(let node) = state else { return }
        life += 1
        state = .starting
        await node.stop()
        disk.kill()
        if case .starting = state { state = .off }
    }

    /// Replaces the disk of a machine that is off by an empty one.
    func wipe() {
        disk.wipe()
        forgetPeers()
        committed = 0
        formerState = nil
        isDamaged = false
        if let directory = setup.applicationDirectory {
            try? DirectoryTree.remove(directory)
        }
    }

    private func end() {
        life += 1
        if case .running(let node) = state { node.abandon() }
        state = .off
    }
}

extension SeededGenerator {
    /// Returns the first number of a stream.
    static func first(seed: UInt64, stream: String) -> UInt64 {
        var random = SeededGenerator(seed: seed, stream: stream)
        return random.next()
    }
}
