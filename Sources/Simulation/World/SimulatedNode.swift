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

/// One machine of a simulation: its disk, clock and address, and its node while that runs.
@ReactorActor
final class SimulatedNode {
    /// What the machine does now.
    enum State {
        case off
        case starting
        case running(Node)
    }

    /// What a node of this machine is made from.
    struct Setup {
        let name: String
        let key: PrivateKey
        let address: SocketAddress
        let genesis: Genesis
        var configuration: Configuration
        /// Where SQLite keeps its files; nil for the application without any.
        let applicationDirectory: String?
        /// The most transactions that a block may have.
        let blockBudget: Int?
    }

    var setup: Setup
    let disk: VirtualDisk
    private(set) var state = State.off
    /// Counts starts and ends, so that what belongs to a former process is known.
    private(set) var life = 0
    /// Highest height that a process of this machine committed to its present disk.
    var committed: Int64 = 0
    /// Whether the disk holds damage that the node may refuse to start on.
    var isDamaged = false
    /// Whether the last process ended by an error that a fault explains.
    var mayFail = false
    /// Proposals that the present process has fetched.
    var downloads: Set<Hash> = []
    /// Added to the true time, milliseconds.
    var clockSkew: Int64
    /// How far a clock that is plainly wrong is away from what it should show, milliseconds.
    var clockAway: Int64 = 0
    /// What a clock shows that stands still.
    var clockStopped: UInt64?
    /// What a job of a worker takes, by its name.
    var delays: [String: Duration] = [:]
    /// Whether it can execute.
    let application = SimulatedApplication.Machine()
    /// Executes what the machine executes, where that is SQL; it outlives process and disk.
    private var twin: TwinChecker?
    /// What the machine's node remembers of peers; like its file, it outlives the process.
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

    /// Where the true time of a simulation begins: milliseconds since 1970.
    nonisolated static let epoch: Int64 = 1_750_000_000_000

    /// What this machine's clock shows.
    var wallClock: UInt64 {
        if let clockStopped { return clockStopped }
        let parts = Reactor.now.components
        let elapsed = parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        return UInt64(max(0, Self.epoch + elapsed + clockSkew + clockAway))
    }

    // MARK: Life

    /// Starts a node; throws what keeps it from running. `observer` gets the number of the new life.
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

    /// Has a twin execute what the machine executes, and tell `report` where they part.
    func startTwin(seed: UInt64, _ report: @escaping (CheckerFailure) -> Void) {
        guard let directory = setup.applicationDirectory else { return }
        twin = TwinChecker(
            of: name, seed: seed, directory: "\(directory)-twin", genesis: setup.genesis, report: report)
    }

    /// The simulation is over.
    func endTwin() {
        twin?.close()
        twin = nil
    }

    private func environment(_ observer: NodeObserver) -> NodeEnvironment {
        let (mount, directory) = (disk.mount(), setup.applicationDirectory)
        let (machine, budget, twin) = (application, setup.blockBudget, twin)
        let clock: @Sendable () -> UInt64 = { [weak self] in
            ReactorActor.assumeIsolated { self?.wallClock ?? 0 }
        }
        var environment = NodeEnvironment(
            openStores: {
                try mount.makeDirectory("node")
                let store = try BlockStore(directory: "node/blocks", segmentSize: 64 << 10, disk: mount)
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
        environment.dialFrom = setup.address.with(port: 0)
        environment.noiseKeys = keys.make
        environment.makeWorker = { name, capacity in
            Worker(name: name, capacity: capacity) { [weak self] in
                ReactorActor.assumeIsolated { self?.delays[name] ?? .zero }
            }
        }
        return environment
    }

    /// The machine loses power.
    func powerFail() {
        disk.powerFail()
        VirtualNetwork.current?.powerFail(setup.address)
        end()
    }

    /// The process is killed.
    func kill() {
        disk.kill()
        VirtualNetwork.current?.kill(setup.address)
        end()
    }

    /// The operator stops the process.
    func stop() async {
        guard case .running(let node) = state else { return }
        life += 1
        state = .starting
        await node.stop()
        disk.kill()
        if case .starting = state { state = .off }
    }

    /// The disk is replaced by an empty one. The machine is off.
    func wipe() {
        disk.wipe()
        forgetPeers()
        committed = 0
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
    /// The first number of a stream.
    static func first(seed: UInt64, stream: String) -> UInt64 {
        var random = SeededGenerator(seed: seed, stream: stream)
        return random.next()
    }
}
