import Chain
import Crypto
import Reactor
import Storage

/// No vote is signed for two blocks at one height and round (the leader's stamp), nor for an older round after a newer
/// one, nor for what nobody proposed, also across crashes, after which the newest is remembered; no leader signs two
/// proposals of one height and stamp; who is no validator signs no vote.
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
    /// What any leader has proposed.
    private var proposed: Set<Hash> = []

    /// A node whose disk was wiped cannot know what it signed before.
    func forget(_ key: PublicKey) {
        votes = votes.filter { $0.key.key != key }
        newest[key] = nil
        proposals = proposals.filter { $0.key.key != key }
    }

    /// Whether its newest vote, of those it can know, is for a height up to `tip`.
    func remembers(_ key: PublicKey, to tip: Int64) -> Bool { newest[key].map { $0.height <= tip } ?? false }

    func vote(
        _ answer: AckRes, stamp: Int64, isValidator: Bool, by node: String
    ) throws(CheckerFailure) {
        let key = answer.signature.publicKey
        guard isValidator else { throw CheckerFailure("votes", "\(node) votes, but is no validator") }
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
                throw CheckerFailure("votes", "\(node) voted twice and differently on \(answer.block)")
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

    /// A node that starts remembers the newest vote that it gave.
    func remember(_ vote: Vote?, _ key: PublicKey, _ node: String) throws(CheckerFailure) {
        guard let last = newest[key] else { return }
        guard let vote, (vote.height, vote.stamp) >= last else {
            throw CheckerFailure(
                "votes", "\(node) forgot that it voted at height \(last.height), stamp \(last.stamp)")
        }
    }

    /// A script proposes a block in the leader's name.
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
    /// What is said, without who says it.
    fileprivate var message: [UInt8] {
        if let appHash { return [1] + appHash.array }
        return [0]
    }
}
