import Chain
import Crypto

/// Checks whether a block may follow a chain's tip. Cheap: neither hashes nor verifies signatures.
public enum BlockValidation {
    /// The maximum lead of a proposal's timestamp over the validator's own clock, in ms. It is wide enough for
    /// inaccurate clocks, and narrow enough that a wrong leader's clock cannot put the chain's time out of reach.
    public static let allowedClockSkew: UInt64 = 60_000

    /// The step by which a block's timestamp may always exceed the previous one's, in ms. It lets a chain continue,
    /// in steps of a millisecond, after a wrong clock has put its time far ahead.
    public static let allowedStep: UInt64 = 1_000

    /// Returns the greatest timestamp that a proposal after `state` may have at a node whose clock shows `wallClock`,
    /// both in ms since 1970. The leader uses half of the skew, to allow for other clocks.
    static func latestTimestamp(
        after state: ChainState, wallClock: UInt64, skew: UInt64 = allowedClockSkew
    ) -> UInt64 {
        max(adding(wallClock, skew), adding(state.timestamp, allowedStep))
    }

    /// Returns the sum, or the greatest number if it overflows.
    static func adding(_ time: UInt64, _ more: UInt64) -> UInt64 {
        let (sum, isTooLarge) = time.addingReportingOverflow(more)
        return isTooLarge ? .max : sum
    }

    /// Checks every field of the header that depends on the chain before it.
    /// - Parameter wallClock: the checking node's clock in ms since 1970, for a proposal; nil for a block that the
    ///   network has already committed.
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
            throw refuse("its new leader \(leader.nodeID) is not a validator")
        }
        guard header.timestamp >= state.timestamp else {
            throw refuse("timestamp \(header.timestamp) is before the previous block's \(state.timestamp)")
        }
        let (bytes, limit) = (block.block.transactionBytes, state.parameters.maxBlockSize)
        guard Int64(bytes) <= limit else {
            throw refuse("\(bytes) bytes of transactions exceed the limit of \(limit)")
        }
        // Last, so that this error means that nothing else is wrong.
        if let wallClock, header.timestamp > latestTimestamp(after: state, wallClock: wallClock) {
            throw .tooEarly(height: header.height, by: header.timestamp - min(wallClock, header.timestamp))
        }
    }
}
