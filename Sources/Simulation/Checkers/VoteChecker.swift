import Chain
import Crypto
import Reactor
import Storage

/// Checks that a key votes for one block only in each round (the leader's stamp) of a height, never for an older
/// round after a newer one, and only for proposed blocks, also across crashes, after which the newest vote is still
/// known; that no leader signs two proposals of one height and stamp; and that only validators vote.
@ReactorActor
final class VoteChecker {
    private struct Round: Hashable {
        let key: PublicKey
        let height: Int64
        let stamp: Int64
    }

    private var votes: [Round: AckRes] = [:]
    private var newest: [PublicKey: (height: Int64, stamp: Int64)] = [:]
    private var proposals: [Round: Hash] = [:]
    /// All blocks proposed by any leader.
    private var proposed: Set<Hash> = []

    /// Forgets a key's votes, because a node with a wiped disk cannot know them.
    func forget(_ key: PublicKey) {
        votes = votes.filter { $0.key.key != key }
        newest[key] = nil
        proposals = proposals.filter { $0.key.key != key }
    }

    /// Returns whether the newest vote that it can know is for a height up to `tip`.
    func remembers(_ key: PublicKey, to tip: Int64) -> Bool { newest[key].map { $0.height <= tip } ?? false }

    func vote(
        _ answer: AckRes, stamp: Int64, isValidator: Bool, by node: String
    ) throws(CheckerFailure) {
        let key = answer.signature.publicKey
        guard isValidator else { throw CheckerFailure("votes", "\(node) voted but is not a validator") }
        guard answer.appHash == nil || proposed.contains(answer.block) else {
            throw CheckerFailure("votes", "\(node) voted for \(answer.block), which no leader proposed")
        }
        let round = Round(key: key, height: answer.height, stamp: stamp)
        if let before = votes.updateValue(answer, forKey: round) {
            guard before.block == answer.block else {
                throw CheckerFailure(
                    "votes",
                    "\(node) voted for \(before.block) and \(answer.block) at height \(answer.height)")
            }
            guard before.message == answer.message else {
                throw CheckerFailure("votes", "\(node) cast two different votes on \(answer.block)")
            }
        }
        if let last = newest[key], (answer.height, stamp) < last {
            throw CheckerFailure(
                "votes",
                "\(node) voted at height \(answer.height), stamp \(stamp), after \(last.height), \(last.stamp)"
            )
        }
        newest[key] = (answer.height, stamp)
    }

    /// Checks that a node that starts still knows its newest vote.
    func remember(_ vote: Vote?, _ key: PublicKey, _ node: String) throws(CheckerFailure) {
        guard let last = newest[key] else { return }
        guard let vote, (vote.height, vote.stamp) >= last else {
            throw CheckerFailure(
                "votes", "\(node) forgot that it voted at height \(last.height), stamp \(last.stamp)")
        }
    }

    /// Permits votes for a block that a script proposes in the leader's name.
    func mayBeVotedFor(_ block: Hash) { proposed.insert(block) }

    func proposal(
        _ block: Block, stamp: Int64, by key: PublicKey, _ node: String
    ) throws(CheckerFailure) {
        let round = Round(key: key, height: block.header.height, stamp: stamp)
        let hash = block.hash
        proposed.insert(hash)
        if let before = proposals.updateValue(hash, forKey: round), before != hash {
            throw CheckerFailure(
                "votes", "\(node) proposed \(before) and \(hash) at height \(round.height) with one stamp")
        }
    }
}

extension AckRes {
    /// The vote's content, without its signature.
    fileprivate var message: [UInt8] {
        if let appHash { return [1] + appHash.array }
        return [0]
    }
}
