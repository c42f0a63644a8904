import Reactor

/// How much of the reactor's time the messages inside one peer's streams may take: a tenth (docs/peers.md).
///
/// Frames are `MessageCredit`'s; this counts the messages that handlers take out of them, of which one frame may carry
/// thousands. Handlers wait beyond the share, and the streams' windows then hold the peer back. A machine: time comes
/// from outside.
struct WorkShare {
    /// What is given out at once, and the work that it has room for, in microseconds or so.
    static let (slice, perSlice) = (Duration.milliseconds(1), 100)

    private var began = Duration.zero
    /// Work of the present slice, and what earlier ones had no room for.
    private var spent = 0

    /// Counts work that has been done. How long to wait before there may be more; nil for no time.
    mutating func spend(_ work: Int, now: Duration) -> Duration? {
        let passed = max(.zero, now - began)
        let slices = Int(min(passed, .seconds(60)) / Self.slice)
        if slices > 0 {
            spent = max(0, spent &- slices &* Self.perSlice)
            began = now
        }
        spent &+= min(max(work, 0), 1 << 20)
        return spent < Self.perSlice ? nil : Self.slice * (spent / Self.perSlice)
    }
}

extension Stream {
    /// Counts work that this stream's messages make beyond the carrying of their bytes, in microseconds or so, and waits
    /// when the peer's messages have had their share of the reactor's time.
    public func spend(_ work: Int) async throws(LibP2PError) {
        guard let wait = connection.peer.work.spend(work, now: Reactor.now) else { return }
        do { try await Reactor.sleep(for: wait) } catch { throw .cancelled }
    }
}
