import Chain
import Crypto

/// The validators' answers to the leader's proposal.
struct Tally: Sendable {
    /// Whether the block was acknowledged before, so that it may have been committed and its time is not judged
    /// again.
    var mayBeCommitted = false
    /// The answers in order of arrival, one per validator.
    private(set) var answers: [VerifiedAcknowledgement] = []
    /// Validators that have voted for a newer block.
    private var heldBack: Set<PublicKey> = []

    init(mayBeCommitted: Bool = false) { self.mayBeCommitted = mayBeCommitted }

    /// Returns whether a validator has answered.
    func answered(by key: PublicKey) -> Bool { answers.contains { $0.voter == key } }

    /// Returns whether the voter has given the same answer before.
    func holds(_ answer: AckRes) -> Bool { answers.contains { $0.says(the: answer) } }

    /// Adds an answer, unless the validator has answered before.
    mutating func add(_ answer: VerifiedAcknowledgement) {
        if !answered(by: answer.voter) { answers.append(answer) }
    }

    /// Notes that a validator can no longer vote for this block. Returns the number of such validators that have not
    /// answered.
    mutating func holdBack(_ voter: PublicKey) -> Int {
        heldBack.insert(voter)
        return heldBack.count { !answered(by: $0) }
    }

    /// Returns the number of votes that agree with `appHash`, of votes for another app hash, and of refusals.
    func count(appHash: Hash) -> (agreed: Int, forked: Int, rejected: Int) {
        var result = (agreed: 0, forked: 0, rejected: 0)
        for answer in answers {
            switch answer.message.appHash {
            case appHash: result.agreed += 1
            case .some: result.forked += 1
            case nil: result.rejected += 1
            }
        }
        return result
    }

    /// The number of refusals that do not call the block invalid.
    var unexplained: Int { answers.count { $0.message.answer == .unknown } }

    /// Returns the app hash other than the leader's with the most votes.
    func largestFork(than own: Hash) -> (appHash: Hash, votes: Int)? {
        var largest: (appHash: Hash, votes: Int)?
        for answer in answers {
            guard let appHash = answer.message.appHash, appHash != own else { continue }
            let votes = count(appHash: appHash).agreed
            if votes > largest?.votes ?? 0 { largest = (appHash, votes) }
        }
        return largest
    }

    /// Returns the votes as listed in the commit info of a block with `appHash`.
    func votes(appHash: Hash) -> [VoteInfo] {
        answers.map { answer in
            let message = answer.message
            let status: VoteInfo.Status
            switch message.appHash {
            case appHash: status = .agreed
            case .some(let other): status = .forked(other)
            case nil: status = .rejected
            }
            return VoteInfo(signature: message.signature, status: status)
        }
    }
}
