import JSON
import Node

/// Versions, health and status in the JSON of Kwil's services `user` and `chain`.
extension JSONWriter {
    /// Writes `user.version` or `chain.version`.
    mutating func version(_ service: StaticString) {
        object {
            $0.member("service", text: service)
            $0.member("api_ver", text: NodeVersion.text)
            $0.member("major", integer: NodeVersion.major)
            $0.member("minor", integer: NodeVersion.minor)
            $0.member("patch", integer: NodeVersion.patch)
            $0.member("kwil_ver", text: NodeVersion.agent)
        }
    }

    /// Writes `user.chain_info`.
    mutating func chainInfo(_ status: NodeStatus, chainID: String) {
        object { $0.tip(status, chainID: chainID) }
    }

    private mutating func tip(_ status: NodeStatus, chainID: String) {
        member("chain_id", text: chainID)
        member("block_height", integer: status.height)
        member("block_hash", hex: status.blockHash)
        // Whether transactions cost gas.
        member("gas", flag: status.hasGasCosts)
    }

    /// Writes `chain.health`.
    mutating func chainHealth(_ status: NodeStatus, chainID: String) {
        object {
            $0.member("chain_id", text: chainID)
            $0.member("height", integer: status.height)
            $0.member("healthy", flag: status.isHealthy)
            if let trouble = status.trouble { $0.member("reason", text: trouble) }
        }
    }

    /// Writes `user.health`, which `GET /api/v1/health` also returns.
    ///
    /// - Parameter now: the wall clock's time, in milliseconds since 1970.
    mutating func health(_ status: NodeStatus, chainID: String, now: Int64) {
        let (age, _) = now.subtractingReportingOverflow(Int64(clamping: status.blockTimestamp))
        object {
            $0.tip(status, chainID: chainID)
            $0.member("healthy", flag: status.isHealthy)
            if let trouble = status.trouble { $0.member("reason", text: trouble) }
            $0.member("version", text: NodeVersion.text)
            // Milliseconds, since 1970 and since the block.
            $0.member("block_time", integer: status.blockTimestamp)
            if status.blockTimestamp > 0 { $0.member("block_age", integer: max(0, age)) }
            $0.member("syncing", flag: status.isSyncing)
            if let doubt = status.clockDoubt { $0.member("clock", text: doubt) }
            $0.member("height", integer: status.height)
            $0.member("app_hash", hex: status.appHash)
            $0.member("peer_count", integer: status.peerCount)
            $0.member("mode", text: "open" as StaticString)
        }
    }
}
