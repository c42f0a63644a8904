import Collections
import Reactor

/// The network of a virtual loop: what lies between its hosts, and what goes wrong there. Every choice comes from the
/// loop's seed. See docs/architecture.md, "Reactor".
///
/// A host is an IP address. What is lost or cut behaves as TCP does: bytes wait and arrive late, in order; a connection
/// attempt is repeated until it times out. Hosts that nobody has described are up and joined by the default link.
@ReactorActor
public final class VirtualNetwork {
    /// One direction between two hosts.
    public struct Link: Sendable, Hashable {
        /// Time on the way.
        public var latency: Duration
        /// At most so much more, by chance.
        public var jitter: Duration
        /// Nil: without limit.
        public var bytesPerSecond: Int?
        /// Of 1,000 packets, how many are lost and wait to be sent again.
        public var lossPerMille: Int
        /// Nothing passes until the link is whole again.
        public var isCut: Bool

        /// A link by its properties.
        public init(
            latency: Duration = .zero, jitter: Duration = .zero, bytesPerSecond: Int? = nil,
            lossPerMille: Int = 0,
            isCut: Bool = false
        ) {
            self.latency = latency
            self.jitter = jitter
            self.bytesPerSecond = bytesPerSecond
            self.lossPerMille = lossPerMille
            self.isCut = isCut
        }
    }

    /// What happens on the network, for a trace.
    public enum Event: Sendable, Hashable {
        /// A connection stands, dialled from the first address.
        case connected(SocketAddress, SocketAddress)
        /// Nobody listens at the second address.
        case refused(SocketAddress, SocketAddress)
        /// Bytes came to the second address.
        case received(SocketAddress, SocketAddress, bytes: Int)
        /// A connection was broken, as seen from its first address.
        case reset(SocketAddress, SocketAddress)
    }

    /// What has happened so far.
    public struct Counters: Sendable, Hashable {
        /// Connections made.
        public var connections = 0
        /// Connections broken by a reset.
        public var resets = 0
        /// Pieces of a stream that arrived.
        public var packets = 0
        /// Their bytes.
        public var bytes = 0
        /// Packets that were lost and sent again.
        public var losses = 0
        /// Packets that a cut held back.
        public var stalls = 0
    }

    struct Direction: Hashable {
        var from: SocketAddress
        var to: SocketAddress

        /// Ports do not matter.
        init(_ from: SocketAddress, _ to: SocketAddress) {
            self.from = from.with(port: 0)
            self.to = to.with(port: 0)
        }
    }

    private struct ReadLimit {
        var bytesPerSecond: Int
        var free: Duration
    }

    /// How long the sender of a lost packet waits before it sends again; doubles when that is lost too.
    private static let retransmission = Duration.milliseconds(200)
    /// What a packet takes on a wire beside its payload: IP and TCP headers.
    private static let overhead = 40

    /// The running virtual loop's network; nil on a loop with a kernel.
    public static var current: VirtualNetwork? { (Reactor.loop.driver as? VirtualDriver)?.network }

    /// What joins hosts that no link of their own does.
    public var defaultLink: Link { didSet { if oldValue.isCut, !defaultLink.isCut { healed(nil) } } }
    /// Called for everything that happens.
    public var onEvent: (@ReactorActor (Event) -> Void)?
    /// What has happened so far.
    public internal(set) var counters = Counters()

    private var links: [Direction: Link] = [:]
    private var busy: [Direction: Duration] = [:]
    private var down: Set<SocketAddress> = []
    private var readers: [SocketAddress: ReadLimit] = [:]
    private var random: SeededGenerator
    unowned let driver: VirtualDriver

    init(_ driver: VirtualDriver, latency: Duration, seed: UInt64) {
        self.driver = driver
        defaultLink = Link(latency: latency)
        random = SeededGenerator(seed: seed ^ 0x6E65_7477_6F72_6B73)
    }

    // MARK: Links

    /// The link in one direction.
    public func link(from: SocketAddress, to: SocketAddress) -> Link {
        links[Direction(from, to)] ?? defaultLink
    }

    /// Sets the link in one direction; nil takes the default again. What a cut held back arrives after a while when the
    /// link is whole again.
    public func setLink(from: SocketAddress, to: SocketAddress, _ link: Link?) {
        let direction = Direction(from, to)
        let wasCut = self.link(from: from, to: to).isCut
        links[direction] = link
        if wasCut, !self.link(from: from, to: to).isCut { healed(direction) }
    }

    private func healed(_ direction: Direction?) {
        driver.release { [self] from, to in
            (direction == nil || direction == Direction(from, to)) && !link(from: from, to: to).isCut
        }
    }

    /// Bytes that a host takes from all its connections in a second; nil: as they come.
    public func setReadRate(_ host: SocketAddress, bytesPerSecond: Int?) {
        let host = host.with(port: 0)
        readers[host] = bytesPerSecond.map { ReadLimit(bytesPerSecond: max($0, 1), free: driver.now) }
        driver.deliverAll(at: host)
    }

    // MARK: Hosts

    /// Takes a host's power away: its sockets are gone and nobody is told. It answers nothing until `powerOn`.
    public func powerFail(_ host: SocketAddress) {
        let host = host.with(port: 0)
        down.insert(host)
        driver.vanish(host, tellingPeers: false)
    }

    /// The host answers again; what still comes for its former connections is reset.
    public func powerOn(_ host: SocketAddress) {
        let host = host.with(port: 0)
        guard down.remove(host) != nil else { return }
        driver.resetOrphans(of: host)
    }

    /// Ends the processes of a host: their sockets are gone, and the peers are told by resets.
    public func kill(_ host: SocketAddress) { driver.vanish(host.with(port: 0), tellingPeers: true) }

    /// Breaks the connections of a host, or those with one other. Returns how many.
    @discardableResult
    public func resetConnections(of host: SocketAddress, with other: SocketAddress? = nil) -> Int {
        driver.breakConnections(of: host.with(port: 0), with: other?.with(port: 0))
    }

    func isDown(_ address: SocketAddress) -> Bool { down.contains(address.with(port: 0)) }

    // MARK: The driver's side

    /// When what leaves now arrives, not before `earliest`; nil when the link is cut.
    func arrival(from: SocketAddress, to: SocketAddress, bytes: Int, earliest: Duration) -> Duration? {
        let direction = Direction(from, to)
        let link = links[direction] ?? defaultLink
        guard !link.isCut else { return nil }
        var departure = driver.now
        if let rate = link.bytesPerSecond {
            departure = max(departure, busy[direction] ?? .zero) + time(for: bytes &+ Self.overhead, at: rate)
            busy[direction] = departure
        }
        var wait = link.latency
        if link.jitter > .zero {
            wait += .nanoseconds(Int64(random.next() % UInt64(max(1, link.jitter.nanoseconds))))
        }
        var pause = Self.retransmission
        while link.lossPerMille > 0, random.next() % 1000 < UInt64(link.lossPerMille), pause < .seconds(60) {
            counters.losses += 1
            wait += pause
            pause *= 2
        }
        return max(departure + wait, earliest)
    }

    /// When `host` takes the next bytes: at once (nil), or later.
    func readDelay(_ host: SocketAddress) -> Duration? {
        guard let limit = readers[host.with(port: 0)], limit.free > driver.now else { return nil }
        return limit.free
    }

    func didRead(_ host: SocketAddress, bytes: Int) {
        guard var limit = readers[host.with(port: 0)] else { return }
        limit.free = max(limit.free, driver.now) + time(for: bytes, at: limit.bytesPerSecond)
        readers[host.with(port: 0)] = limit
    }

    /// How long the sender of what was cut off waits before it tries again, once it could get through.
    func retryDelay() -> Duration { .milliseconds(Int64(random.next() % 1000)) }

    private func time(for bytes: Int, at rate: Int) -> Duration {
        .nanoseconds(
            Int64(clamping: bytes).multipliedReportingOverflow(by: 1_000_000_000).partialValue
                / Int64(max(rate, 1)))
    }
}
