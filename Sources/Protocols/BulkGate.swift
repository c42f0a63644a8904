import Collections
import LibP2P
import Multiformats
import Reactor

/// Bounds how many long transactions are being received at once: four from one peer, and for strangers together half of
/// all. The others wait, and their streams are not read meanwhile.
@ReactorActor
package final class BulkGate {
    /// Transactions in all, and of one peer.
    nonisolated static let capacity = 64
    nonisolated static let perPeer = 4
    /// What a reader may gather outside of the gate: nearly every transaction is shorter.
    nonisolated static let freeBytes = 64 * 1024
    /// How long a reader waits for its turn.
    nonisolated static let patience = Duration.seconds(10)
    /// Readers of one peer that wait.
    nonisolated static let waitingPerPeer = 64

    private struct Waiter {
        let place: BulkPlace
        let timer: Timer
        let turn: CheckedContinuation<Bool, Never>
    }

    private let trusts: (PeerID) -> Bool
    private var places = SharedPlaces<PeerID>(capacity: BulkGate.capacity, perPeer: BulkGate.perPeer)
    /// Those that have a place, the first that came first.
    private var inside: OrderedDictionary<ObjectIdentifier, BulkPlace> = [:]
    private var waiting: [Waiter] = []

    /// A gate with all its places free.
    ///
    /// - Parameter trusts: whether a peer is no stranger; asked whenever a place is taken.
    package init(trusts: @escaping (PeerID) -> Bool) { self.trusts = trusts }

    /// Long transactions that are being received, and that wait.
    var count: (inside: Int, waiting: Int) { (places.count, waiting.count) }

    /// What a peer's long transactions are doing; nil without any.
    func progress(of peer: PeerID) -> TransactionRequests.Progress? {
        if places.count(of: peer) > 0 { return .arriving }
        return waiting.contains { $0.place.peer == peer } ? .held : nil
    }

    /// Waits for a place; false when there is none for too long, or `giveUp` ends the wait.
    fileprivate func enter(_ place: BulkPlace) async -> Bool {
        if admit(place) { return true }
        let others = waiting.count { $0.place.peer == place.peer }
        guard others < Self.waitingPerPeer else { return false }
        if others == 0, places.count(of: place.peer) == 0 { makeRoom(for: place.peer) }
        return await withCheckedContinuation { turn in
            let timer = Reactor.schedule(after: Self.patience) { [weak self] in self?.giveUp(place) }
            waiting.append(Waiter(place: place, timer: timer, turn: turn))
        }
    }

    fileprivate func leave(_ place: BulkPlace) {
        inside[ObjectIdentifier(place)] = nil
        places.release(place.peer)
        var index = 0
        while index < waiting.count {
            let next = waiting[index]
            if admit(next.place) {
                waiting.remove(at: index)
                next.timer.cancel()
                next.turn.resume(returning: true)
            } else {
                index += 1
            }
        }
    }

    fileprivate func giveUp(_ place: BulkPlace) {
        guard let index = waiting.firstIndex(where: { $0.place === place }) else { return }
        let waiter = waiting.remove(at: index)
        waiter.timer.cancel()
        waiter.turn.resume(returning: false)
    }

    private func admit(_ place: BulkPlace) -> Bool {
        guard places.take(place.peer, isTrusted: trusts(place.peer)) else { return false }
        inside[ObjectIdentifier(place)] = place
        return true
    }

    /// Takes a place back from the stranger with most, for a peer that has none. It is free when its reader has noticed.
    private func makeRoom(for peer: PeerID) {
        guard let giver = places.giver(for: peer, isTrusted: false) else { return }
        inside.values.first { $0.peer == giver && !$0.isRefused }?.giveWay()
    }
}

/// One reader's place at the gate: taken when the transaction turns out to be long, and to be left once it has been
/// handed over.
@ReactorActor
package final class BulkPlace {
    private let gate: BulkGate
    let peer: PeerID
    private var stream: Stream?
    private var isInside = false
    /// Whether there was no place in time, or it was taken back: this node's want of room, and not the peer's fault.
    private(set) var isRefused = false

    /// A place for one transaction of a peer's, or for one after the other.
    package init(_ gate: BulkGate, _ peer: PeerID) {
        self.gate = gate
        self.peer = peer
    }

    /// Waits for a place for what `stream` brings, unless the reader has one, for as long as the stream lives. Throws `busy`
    /// when none comes. `entered` is called when the reader has got it.
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

    /// Ends the reader's stream, and so its stay.
    fileprivate func giveWay() {
        isRefused = true
        stream?.reset()
    }
}
