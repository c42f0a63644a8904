import Chain
import Crypto

/// What the validators say to the leader's proposal.
struct Tally: Sendable {
    /// The block was acknowledged before it was proposed now, so its time is not for this node to judge.
    var mayBeCommitted = false
    /// The answers, in order of arrival, one a validator.
    private(set) var answers: [VerifiedAcknowledgement] = []
    /// Validators that have voted for a newer block.
    private var heldBack: Set<PublicKey> = []

    /// An empty tally.
    init(mayBeCommitted: Bool = false) { self.mayBeCommitted = mayBeCommitted }

    /// Whether a validator has answered.
    func answered(by key: PublicKey) -> Bool { answers.contains { $0.voter == key } }

    /// Whether an answer says what its voter has said before.
    func holds(_ answer: AckRes) -> Bool { answers.contains { $0.says(the: answer) } }

    /// Takes a validator's first answer.
    mutating func add(_ answer: VerifiedAcknowledgement) {
        if !answered(by: answer.voter) { answers.append(answer) }
    }

    /// A validator cannot vote for this block any more. Returns how many cannot.
    mutating func holdBack(_ voter: PublicKey) -> Int {
        heldBack.insert(voter)
        return heldBack.count { !answered(by: $0) }
    }

    /// Votes that agree with `appHash`, those that executed the same block to another hash, and refusals.
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

    /// Refusals that do not call the block invalid.
    var unexplained: Int { answers.count { $0.message.answer == .unknown } }

    /// The application hash other than the leader's that most validators computed.
    func largestFork(than own: Hash) -> (appHash: Hash, votes: Int)? {
        var largest: (appHash: Hash, votes: Int)?
        for answer in answers {
            guard let appHash = answer.message.appHash, appHash != own else { continue }
            let votes = count(appHash: appHash).agreed
            if votes > largest?.votes ?? 0 { largest = (appHash, votes) }
        }
        return largest
    }

    /// The votes as a commit with `appHash` lists them.
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
