import Collections
import Multiformats
import Reactor

/// Bounds how many long transactions are being received at once: four from one peer, and for strangers together half of
/// all. The others wait, and their streams are not read meanwhile.
@ReactorActor
final class BulkGate {
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
        let number: Int
        let peer: PeerID
        let isTrusted: Bool
        let timer: Timer
        let turn: CheckedContinuation<Bool, Never>
    }

    private var places = SharedPlaces<PeerID>(capacity: BulkGate.capacity, perPeer: BulkGate.perPeer)
    private var waiting: [Waiter] = []
    private var number = 0

    /// Long transactions that are being received.
    var count: Int { places.count }

    /// What a peer's long transactions are doing; nil without any.
    func progress(of peer: PeerID) -> TransactionRequests.Progress? {
        if places.count(of: peer) > 0 { return .arriving }
        return waiting.contains { $0.peer == peer } ? .held : nil
    }

    /// Waits for a place; false when there is none for too long.
    fileprivate func enter(_ peer: PeerID, isTrusted: Bool) async -> Bool {
        if places.take(peer, isTrusted: isTrusted) { return true }
        guard waiting.count(where: { $0.peer == peer }) < Self.waitingPerPeer else { return false }
        number &+= 1
        let own = number
        return await withCheckedContinuation { turn in
            let timer = Reactor.schedule(after: Self.patience) { [weak self] in self?.give(up: own) }
            waiting.append(Waiter(number: own, peer: peer, isTrusted: isTrusted, timer: timer, turn: turn))
        }
    }

    fileprivate func leave(_ peer: PeerID) {
        places.release(peer)
        var index = 0
        while index < waiting.count {
            let next = waiting[index]
            if places.take(next.peer, isTrusted: next.isTrusted) {
                waiting.remove(at: index)
                next.timer.cancel()
                next.turn.resume(returning: true)
            } else {
                index += 1
            }
        }
    }

    private func give(up number: Int) {
        guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
        waiting.remove(at: index).turn.resume(returning: false)
    }
}

/// One reader's place at the gate: taken when the transaction turns out to be long, and to be left once it has been
/// handed over.
@ReactorActor
final class BulkPlace {
    private let gate: BulkGate
    private let peer: PeerID
    private let isTrusted: Bool
    private var isInside = false
    /// Whether no place came in time.
    private(set) var isRefused = false

    init(_ gate: BulkGate, _ peer: PeerID, isTrusted: Bool) {
        self.gate = gate
        self.peer = peer
        self.isTrusted = isTrusted
    }

    /// Waits for a place, unless the reader has one. Throws `busy` when none comes. `entered` is called when the reader has
    /// got it.
    func enter(_ entered: () -> Void = {}) async throws(ProtocolsError) {
        guard !isInside else { return }
        guard await gate.enter(peer, isTrusted: isTrusted) else {
            isRefused = true
            throw .busy
        }
        isInside = true
        entered()
    }

    func leave() {
        if isInside { gate.leave(peer) }
        isInside = false
    }
}
