import Chain
import Crypto

/// Whether a checked block may follow a chain's tip. Cheap: no hashing, no signature.
public enum BlockValidation {
    /// How far a proposal's timestamp may run ahead of the validator's own clock, ms. Wide enough for badly kept
    /// clocks, narrow enough that a wrong leader's clock cannot push the chain's time out of reach.
    public static let allowedClockSkew: UInt64 = 60_000

    /// How far a block's timestamp may run ahead of the one before it however far ahead that is, ms: what a wrong clock
    /// has committed does not stop the chain, which waits for the time to come in steps of a millisecond.
    public static let allowedStep: UInt64 = 1_000

    /// The greatest timestamp that a proposal after `state` may have at a node whose clock shows `wallClock`, both ms
    /// since 1970. The leader itself keeps half of the skew for the clocks of others.
    static func latestTimestamp(
        after state: ChainState, wallClock: UInt64, skew: UInt64 = allowedClockSkew
    ) -> UInt64 {
        max(adding(wallClock, skew), adding(state.timestamp, allowedStep))
    }

    /// The sum, or the greatest number.
    static func adding(_ time: UInt64, _ more: UInt64) -> UInt64 {
        let (sum, isTooLarge) = time.addingReportingOverflow(more)
        return isTooLarge ? .max : sum
    }

    /// Checks every field of the header that depends on the chain before it.
    /// - Parameter wallClock: ms since 1970 of the checking node, for a proposal; nil for a block that the network
    ///   has already committed.
    public static func check(
        _ block: CheckedBlock, follows state: ChainState, wallClock: UInt64?
    ) throws(ConsensusError) {
        let header = block.header
        func refuse(_ reason: String) -> ConsensusError {
            .invalidBlock(height: header.height, reason: reason)
        }
        guard state.height < Int64.max, header.height == state.height &+ 1 else {
            throw refuse("follows height \(state.height)")
        }
        guard header.previousHash == state.hash else {
            throw .forked(height: header.height, own: state.hash, committed: header.previousHash)
        }
        guard header.previousAppHash == state.appHash else {
            throw .applicationHashDiffers(
                height: state.height, own: state.appHash, committed: header.previousAppHash)
        }
        guard header.validatorSetHash == state.validatorSetHash else {
            throw refuse("validator set hash \(header.validatorSetHash), expected \(state.validatorSetHash)")
        }
        guard header.networkParametersHash == state.parametersHash else {
            throw refuse(
                "network parameters hash \(header.networkParametersHash), expected \(state.parametersHash)")
        }
        if let leader = header.newLeader, !state.validators.contains(leader) {
            throw refuse("its new leader \(leader.nodeID) is no validator")
        }
        guard header.timestamp >= state.timestamp else {
            throw refuse("timestamp \(header.timestamp) is before the previous block's \(state.timestamp)")
        }
        guard Int64(block.transactionBytes) <= state.parameters.maxBlockSize else {
            throw refuse(
                "transactions of \(block.transactionBytes) bytes, at most \(state.parameters.maxBlockSize) allowed"
            )
        }
        // Last, so that it is said of a block that nothing else is wrong with.
        if let wallClock, header.timestamp > latestTimestamp(after: state, wallClock: wallClock) {
            throw .tooEarly(height: header.height, by: header.timestamp - min(wallClock, header.timestamp))
        }
    }
}
