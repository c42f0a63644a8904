import Reactor

/// Limits the reactor's time for the messages in one peer's streams to a tenth (docs/peers.md).
///
/// `MessageCredit` counts frames; this counts the messages in them, thousands of which may fit one frame. Beyond the
/// share handlers are suspended, and the streams' windows then hold the peer back. A machine: time comes from outside.
struct WorkShare {
    /// The unit of time, and the work allowed in each, in approximate microseconds.
    static let (slice, perSlice) = (Duration.milliseconds(1), 100)

    private var began = Duration.zero
    /// The work of the current slice, and the excess of earlier ones.
    private var spent = 0

    /// Counts completed work. Returns how long to wait before the next; nil for no wait.
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
    /// Counts the work of this stream's messages beyond carrying their bytes, in approximate microseconds. Suspends the
    /// caller while the peer exceeds its share of the reactor's time.
    public func spend(_ work: Int) async throws(LibP2PError) {
        guard let wait = connection.peer.work.spend(work, now: Reactor.now) else { return }
        do { try await Reactor.sleep(for: wait) } catch { throw .cancelled }
    }
}
