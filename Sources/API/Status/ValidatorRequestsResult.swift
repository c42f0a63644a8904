import Execution
import JSON
import Node

/// The result of `apus.validator_requests`.
public struct ValidatorRequestsResult: Sendable {
    /// A pending change of the validator set.
    public struct Request: Sendable {
        /// `join` or `removal`.
        public var kind: String
        /// The node ID of the candidate or validator, `<public key hex>#<key type>`.
        public var nodeId: String
        /// The power that the candidate requests; 0 for a removal.
        public var power: Int64
        /// The block time at which the request expires, in milliseconds since 1970.
        public var expiresAt: Int64
        /// The node IDs of the validators that approve.
        public var approvedBy: [String]
        /// The total power of the validators that approve.
        public var approvedPower: Int64
    }

    /// The height of the latest committed block.
    public var height: Int64
    /// The total power of all validators.
    public var totalPower: Int64
    /// The pending requests, oldest first.
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

    init(_ members: inout JSONMembers) throws(JSONError) {
        height = try members.value("height").integer()
        totalPower = try members.value("total_power").integer()
        requests = try members.value("requests").array().map { value throws(JSONError) in
            var inner = try value.members()
            return Request(
                kind: try inner.value("kind").string(), nodeId: try inner.value("node_id").string(),
                power: try inner.value("power").integer(),
                expiresAt: try inner.value("expires_at").integer(),
                approvedBy: try inner.value("approved_by").array().map { id throws(JSONError) in
                    try id.string()
                },
                approvedPower: try inner.value("approved_power").integer())
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object {
            $0.member("height", integer: height)
            $0.member("total_power", integer: totalPower)
            $0.array("requests", of: requests) { list, request in
                list.object {
                    $0.member("kind", text: request.kind)
                    $0.member("node_id", text: request.nodeId)
                    $0.member("power", integer: request.power)
                    $0.member("expires_at", integer: request.expiresAt)
                    $0.array("approved_by", of: request.approvedBy) { $0.text($1) }
                    $0.member("approved_power", integer: request.approvedPower)
                }
            }
        }
    }
}
