import Bytes
import Chain
import Crypto
import Execution
import JSON
import Multiformats
import Node

/// What a chain consists of, with the names of Kwil's OpenRPC documents and those that kwil-db writes.
extension JSONWriter {
    /// `chain.validators`: of the latest committed block; the validators vote on the next one.
    mutating func validators(_ network: NetworkState) {
        object {
            $0.member("height", integer: network.height)
            $0.name("validators")
            $0.validators(network.validators)
        }
    }

    private mutating func validators(_ validators: ValidatorSet) {
        array { list in
            for validator in validators {
                list.object {
                    let (identifier, type) = (validator.account.identifier, validator.account.keyType.name)
                    $0.member("identifier", hex: identifier)
                    $0.member("key_type", text: type)
                    $0.member("pubkey", hex: identifier)
                    $0.member("type", text: type)
                    $0.member("power", integer: validator.power)
                }
            }
        }
    }

    /// `chain.consensus_params`.
    mutating func parameters(_ parameters: NetworkParameters) {
        object {
            $0.limits(parameters)
            if parameters.maaActivationHeight != 0 {
                $0.member("maa_activation_height", integer: parameters.maaActivationHeight)
            }
        }
    }

    private mutating func limits(_ parameters: NetworkParameters) {
        if let leader = parameters.leader {
            name("leader")
            key(leader)
        }
        member("max_block_size", integer: parameters.maxBlockSize)
        // As kwil-db writes durations: `168h`.
        member("join_expiry", text: DurationText.format(nanoseconds: parameters.joinExpiry))
        member("disabled_gas_costs", flag: parameters.disabledGasCosts)
        member("max_votes_per_tx", integer: parameters.maxVotesPerTransaction)
    }

    /// `chain.genesis`.
    mutating func genesis(_ genesis: Genesis) {
        object {
            $0.member("chain_id", text: genesis.chainID)
            $0.member("initial_height", integer: genesis.initialHeight)
            $0.member("db_owner", text: genesis.databaseOwner)
            $0.name("validators")
            $0.validators(genesis.validators)
            if !genesis.allocations.isEmpty {
                $0.array("alloc") { list in
                    for allocation in genesis.allocations {
                        list.object {
                            $0.member("id", hex: allocation.account.identifier)
                            $0.member("key_type", text: allocation.account.keyType.name)
                            $0.member("amount", text: allocation.amount.description)
                        }
                    }
                }
            }
            $0.limits(genesis.parameters)
        }
    }

    /// `chain.unconfirmed_txs`: `total` counts all that wait, those included that no block could take yet; the
    /// transactions are in the order in which a block would take them.
    mutating func unconfirmed(total: Int, _ transactions: [Transaction]) {
        object {
            $0.member("total", integer: total)
            $0.array("txs") { list in
                for transaction in transactions {
                    list.object {
                        $0.member("hash", hex: transaction.id)
                        $0.name("tx")
                        $0.transaction(transaction)
                    }
                }
            }
        }
    }
}

/// `apus.validator_requests`.
public struct ValidatorRequestsResult: Sendable {
    /// A change of the validator set that waits for validators' approvals.
    public struct Request: Sendable {
        /// `join` or `removal`.
        public var kind: String
        /// Who would join or be removed: `<public key hex>#<key type>`.
        public var nodeId: String
        /// The power that a candidate would have; 0 for a removal.
        public var power: Int64
        /// Milliseconds since 1970 of the block time at which the request is void.
        public var expiresAt: Int64
        /// Node IDs of the validators in favour.
        public var approvedBy: [String]
        /// Their power.
        public var approvedPower: Int64
    }

    /// Of the latest committed block.
    public var height: Int64
    /// The power of all validators.
    public var totalPower: Int64
    /// The oldest first.
    public var requests: [Request]

    init(_ requests: [ValidatorRequest], _ network: NetworkState) {
        height = network.height
        totalPower = Int64(clamping: network.validators.totalPower)
        self.requests = requests.map { request in
            let power = request.approvals.reduce(Int128(0)) { $0 + Int128(network.validators.power(of: $1)) }
            return Request(
                kind: request.kind == .join ? "join" : "removal", nodeId: request.key.nodeID,
                power: request.power, expiresAt: request.expiry,
                approvedBy: request.approvals.map(\.nodeID), approvedPower: Int64(clamping: power))
        }
    }

    init(_ value: JSONValue) throws(JSONError) {
        var members = try value.members()
        height = try members.value("height").integer()
        totalPower = try members.value("total_power").integer()
        requests = []
        for value in try members.value("requests").array() {
            var inner = try value.members()
            var approvedBy: [String] = []
            for id in try inner.value("approved_by").array() { approvedBy.append(try id.string()) }
            requests.append(
                Request(
                    kind: try inner.value("kind").string(), nodeId: try inner.value("node_id").string(),
                    power: try inner.value("power").integer(),
                    expiresAt: try inner.value("expires_at").integer(), approvedBy: approvedBy,
                    approvedPower: try inner.value("approved_power").integer()))
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object {
            $0.member("height", integer: height)
            $0.member("total_power", integer: totalPower)
            $0.array("requests") { list in
                for request in requests {
                    list.object {
                        $0.member("kind", text: request.kind)
                        $0.member("node_id", text: request.nodeId)
                        $0.member("power", integer: request.power)
                        $0.member("expires_at", integer: request.expiresAt)
                        $0.array("approved_by") { list in
                            for id in request.approvedBy { list.text(id) }
                        }
                        $0.member("approved_power", integer: request.approvedPower)
                    }
                }
            }
        }
    }
}
