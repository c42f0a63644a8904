import Collections
import LibP2P
import Multiformats
import Reactor

/// Bounds how many long transactions are received at once: four from one peer, and from all strangers together half of the
/// places. The others wait, and their streams are not read meanwhile.
@ReactorActor
package final class BulkGate {
    /// The most transactions in all, and from one peer.
    nonisolated static let capacity = 64
    nonisolated static let perPeer = 4
    /// The bytes that a reader may gather outside the gate. Nearly every transaction is shorter.
    nonisolated static let freeBytes = 64 * 1024
    /// How long a reader waits for a place.
    nonisolated static let patience = Duration.seconds(10)
    /// The most readers of one peer that wait.
    nonisolated static let waitingPerPeer = 64

    private let trusts: (PeerID) -> Bool
    private var places = SharedPlaces<PeerID>(capacity: BulkGate.capacity, perPeer: BulkGate.perPeer)
    /// The readers that have a place, the earliest first.
    private var inside: OrderedDictionary<ObjectIdentifier, BulkPlace> = [:]
    private let waiting = WaitQueue<BulkPlace, Void>()

    /// A gate with all places free.
    ///
    /// - Parameter trusts: whether a peer is not a stranger; called whenever a place is taken.
    package init(trusts: @escaping (PeerID) -> Bool) { self.trusts = trusts }

    /// How many long transactions are being received, and how many wait.
    var count: (inside: Int, waiting: Int) { (places.count, waiting.count) }

    /// What a peer's long transactions are doing; nil if it has none.
    func progress(of peer: PeerID) -> TransactionRequests.Progress? {
        if places.count(of: peer) > 0 { return .arriving }
        return waiting.count { $0.peer == peer } > 0 ? .held : nil
    }

    /// Waits for a place. False when none becomes free in time, or `giveUp` ends the wait.
    fileprivate func enter(_ place: BulkPlace) async -> Bool {
        if admit(place) { return true }
        let others = waiting.count { $0.peer == place.peer }
        guard others < Self.waitingPerPeer else { return false }
        if others == 0, places.count(of: place.peer) == 0 { makeRoom(for: place.peer) }
        return await waiting.wait(as: place, limit: Self.patience) != nil
    }

    fileprivate func leave(_ place: BulkPlace) {
        inside[ObjectIdentifier(place)] = nil
        places.release(place.peer)
        waiting.wakeAll(()) { admit($0) }
    }

    fileprivate func giveUp(_ place: BulkPlace) { waiting.wakeAll(nil) { $0 === place } }

    private func admit(_ place: BulkPlace) -> Bool {
        guard places.take(place.peer, isTrusted: trusts(place.peer)) else { return false }
        inside[ObjectIdentifier(place)] = place
        return true
    }

    /// Takes back a place of the stranger that has most, for a peer that has none. The place becomes free when its reader notices.
    private func makeRoom(for peer: PeerID) {
        guard let giver = places.giver(for: peer, isTrusted: false) else { return }
        inside.values.first { $0.peer == giver && !$0.isRefused }?.giveWay()
    }
}

/// One reader's place at the gate. The reader takes it when a transaction turns out to be long, and leaves it when it has handed
/// the transaction on.
@ReactorActor
package final class BulkPlace {
    private let gate: BulkGate
    let peer: PeerID
    private var stream: Stream?
    private var isInside = false
    /// Whether no place became free in time, or the place was taken back. The cause is this node's lack of room, not the peer.
    private(set) var isRefused = false

    /// A place for a peer's transactions, one after the other.
    package init(_ gate: BulkGate, _ peer: PeerID) {
        self.gate = gate
        self.peer = peer
    }

    /// Waits for a place for what `stream` brings, unless the reader has one, while the stream lives. Throws `busy` when none
    /// becomes free. Calls `entered` once the reader has it.
    func enter(for stream: Stream, _ entered: () -> Void = {}) async throws(ProtocolsError) {
        guard !isInside else { return }
        if let failure = stream.failure { throw .stream(failure) }
        stream.onFailure = { [weak self] in self?.stopWaiting() }
        defer { stream.onFailure = nil }
        let isAdmitted = await gate.enter(self)
        if isAdmitted { (isInside, self.stream) = (true, stream) }
        if let failure = stream.failure { throw .stream(failure) }
        guard isAdmitted else {
            isRefused = true
            throw .busy
        }
        entered()
    }

    func leave() {
        guard isInside else { return }
        (isInside, stream) = (false, nil)
        gate.leave(self)
    }

    private func stopWaiting() { gate.giveUp(self) }

    /// Resets the reader's stream, so that it leaves.
    fileprivate func giveWay() {
        isRefused = true
        stream?.reset()
    }
}
