import Collections
import Reactor

/// The network of a virtual loop: the links between its hosts and their faults. The loop's seed determines every
/// choice. See docs/architecture.md, "Reactor".
///
/// A host is an IP address. Losses and cuts behave as under TCP: bytes wait and arrive late, in order; a connection
/// attempt is repeated until it times out. Hosts without a description are up and joined by the default link.
@ReactorActor
public final class VirtualNetwork {
    /// One direction between two hosts.
    public struct Link: Sendable, Hashable {
        /// The time in transit.
        public var latency: Duration
        /// The maximum random addition to the latency.
        public var jitter: Duration
        /// The bandwidth; nil for no limit.
        public var bytesPerSecond: Int?
        /// The number of packets lost and sent again per 1,000.
        public var lossPerMille: Int
        /// Whether the link is cut: nothing passes until it is restored.
        public var isCut: Bool

        /// Creates a link by its properties.
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

    /// An event on the network, for a trace.
    public enum Event: Sendable, Hashable {
        /// A connection was opened; the first address dialled.
        case connected(SocketAddress, SocketAddress)
        /// A connection was refused, because nothing listens at the second address.
        case refused(SocketAddress, SocketAddress)
        /// Bytes arrived at the second address.
        case received(SocketAddress, SocketAddress, bytes: Int)
        /// A connection was reset, as seen from its first address.
        case reset(SocketAddress, SocketAddress)
    }

    /// Counts of the events so far.
    public struct Counters: Sendable, Hashable {
        /// Connections opened.
        public var connections = 0
        /// Connections reset.
        public var resets = 0
        /// Packets that arrived.
        public var packets = 0
        /// Bytes that arrived.
        public var bytes = 0
        /// Packets that were lost and sent again.
        public var losses = 0
        /// Packets that a cut held back.
        public var stalls = 0
    }

    struct Direction: Hashable {
        var from: SocketAddress
        var to: SocketAddress

        /// Creates the direction between two hosts, whatever their ports.
        init(_ from: SocketAddress, _ to: SocketAddress) {
            self.from = from.with(port: 0)
            self.to = to.with(port: 0)
        }
    }

    private struct ReadLimit {
        var bytesPerSecond: Int
        var free: Duration
    }

    /// The wait before a lost packet is sent again; doubles with each further loss.
    private static let retransmission = Duration.milliseconds(200)
    /// The size of a packet's IP and TCP headers, in bytes.
    private static let overhead = 40

    /// The network of the running virtual loop; nil on a loop with a kernel.
    public static var current: VirtualNetwork? { (Reactor.loop.driver as? VirtualDriver)?.network }

    /// The link between hosts that have none of their own.
    public var defaultLink: Link { didSet { if oldValue.isCut, !defaultLink.isCut { healed(nil) } } }
    /// Called for each event.
    public var onEvent: (@ReactorActor (Event) -> Void)?
    /// Counts of the events so far.
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

    /// Returns the link in one direction.
    public func link(from: SocketAddress, to: SocketAddress) -> Link {
        links[Direction(from, to)] ?? defaultLink
    }

    /// Sets the link in one direction; nil restores the default. Packets that a cut held back arrive some time after
    /// the link is restored.
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

    /// Sets the number of bytes per second that a host reads from all its connections; nil for no limit.
    public func setReadRate(_ host: SocketAddress, bytesPerSecond: Int?) {
        let host = host.with(port: 0)
        readers[host] = bytesPerSecond.map { ReadLimit(bytesPerSecond: max($0, 1), free: driver.now) }
        driver.deliverAll(at: host)
    }

    // MARK: Hosts

    /// Cuts a host's power: its sockets are gone without a reset. It answers nothing until `powerOn`.
    public func powerFail(_ host: SocketAddress) {
        let host = host.with(port: 0)
        down.insert(host)
        driver.vanish(host, tellingPeers: false)
    }

    /// Restores a host's power; packets for its former connections are answered by resets.
    public func powerOn(_ host: SocketAddress) {
        let host = host.with(port: 0)
        guard down.remove(host) != nil else { return }
        driver.resetOrphans(of: host)
    }

    /// Kills the processes of a host: their sockets are gone, and the peers receive resets.
    public func kill(_ host: SocketAddress) { driver.vanish(host.with(port: 0), tellingPeers: true) }

    /// Resets the connections of a host, or those with one other host. Returns their number.
    @discardableResult
    public func resetConnections(of host: SocketAddress, with other: SocketAddress? = nil) -> Int {
        driver.breakConnections(of: host.with(port: 0), with: other?.with(port: 0))
    }

    func isDown(_ address: SocketAddress) -> Bool { down.contains(address.with(port: 0)) }

    // MARK: Interface to the driver

    /// Returns the arrival time of a packet that leaves now, not before `earliest`; nil when the link is cut.
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

    /// Returns when `host` may read again; nil if it may now.
    func readDelay(_ host: SocketAddress) -> Duration? {
        guard let limit = readers[host.with(port: 0)], limit.free > driver.now else { return nil }
        return limit.free
    }

    func didRead(_ host: SocketAddress, bytes: Int) {
        guard var limit = readers[host.with(port: 0)] else { return }
        limit.free = max(limit.free, driver.now) + time(for: bytes, at: limit.bytesPerSecond)
        readers[host.with(port: 0)] = limit
    }

    /// Returns the wait before a sender behind a restored link tries again.
    func retryDelay() -> Duration { .milliseconds(Int64(random.next() % 1000)) }

    private func time(for bytes: Int, at rate: Int) -> Duration {
        .nanoseconds(
            Int64(clamping: bytes).multipliedReportingOverflow(by: 1_000_000_000).partialValue
                / Int64(max(rate, 1)))
    }
}
