import Chain
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
    mutating func chainInfo(_ status: NodeStatus) {
        object { $0.tip(status) }
    }

    private mutating func tip(_ status: NodeStatus) {
        member("chain_id", text: status.chainID)
        member("block_height", integer: status.height)
        member("block_hash", hex: status.blockHash)
        // Whether transactions cost gas.
        member("gas", flag: status.hasGasCosts)
    }

    /// Writes `chain.health`.
    mutating func chainHealth(_ status: NodeStatus) {
        object {
            $0.member("chain_id", text: status.chainID)
            $0.member("height", integer: status.height)
            $0.member("healthy", flag: status.isHealthy)
            if let trouble = status.trouble { $0.member("reason", text: trouble) }
        }
    }

    /// Writes `user.health`, which `GET /api/v1/health` also returns.
    ///
    /// - Parameter now: the wall clock's time, in milliseconds since 1970.
    mutating func health(_ status: NodeStatus, now: Int64) {
        let (age, _) = now.subtractingReportingOverflow(Int64(clamping: status.blockTimestamp))
        object {
            $0.tip(status)
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

    /// Writes `apus.status`.
    mutating func status(_ status: NodeStatus) {
        object {
            $0.member("version", text: status.version)
            $0.member("chain_id", text: status.chainID)
            $0.member("node_id", text: status.nodeID)
            $0.member("peer_id", text: status.peerID)
            $0.member("role", text: status.role.rawValue)
            $0.member("height", integer: status.height)
            $0.member("block_hash", hex: status.blockHash)
            $0.member("app_hash", hex: status.appHash)
            $0.member("syncing", flag: status.isSyncing)
            if let trouble = status.trouble { $0.member("trouble", text: trouble) }
            if let doubt = status.clockDoubt { $0.member("clock", text: doubt) }
            $0.member("peers", integer: status.peerCount)
            $0.member("mempool_transactions", integer: status.mempoolCount)
            $0.member("mempool_bytes", integer: status.mempoolSize)
            $0.member("blocks_only", flag: status.isBlocksOnly)
            $0.member("transactions", integer: status.transactionCount)
            $0.member("reactor", text: status.reactor)
            $0.array("listen", of: status.listenAddresses) { $0.text($1) }
        }
    }
}

extension NodeStatus {
    /// Reads `apus.status`.
    init(_ members: inout JSONMembers) throws(JSONError) {
        self.init()
        version = try members.value("version").string()
        chainID = try members.value("chain_id").string()
        nodeID = try members.value("node_id").string()
        peerID = try members.value("peer_id").string()
        let name = try members.value("role")
        guard let role = RoleName(rawValue: try name.string()) else { throw name.error("is no known role") }
        self.role = role
        height = try members.value("height").integer()
        blockHash = try members.value("block_hash").hash()
        appHash = try members.value("app_hash").hash()
        isSyncing = try members.value("syncing").flag()
        trouble = try members.optional("trouble")?.string()
        clockDoubt = try members.optional("clock")?.string()
        peerCount = try members.value("peers").integer()
        mempoolCount = try members.value("mempool_transactions").integer()
        mempoolSize = try members.value("mempool_bytes").integer()
        isBlocksOnly = try members.value("blocks_only").flag()
        transactionCount = try members.value("transactions").integer()
        reactor = try members.value("reactor").string()
        listenAddresses = try members.value("listen").array().map { value throws(JSONError) in
            try value.string()
        }
    }
}
