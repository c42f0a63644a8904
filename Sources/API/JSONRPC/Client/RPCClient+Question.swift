import Chain
import Crypto
import JSON

extension RPCClient {
    /// A question to a node, whose answer some want as a value and others as the JSON that the node wrote (`ask`).
    public enum Question: Sendable {
        /// `apus.status`
        case status
        /// `chain.validators`
        case validators
        /// `apus.validator_requests`
        case validatorRequests
        /// `user.tx_query`
        case transaction(Hash)
        /// `user.query`
        case query(String, [RawStatement.Parameter])

        var method: RPCMethod {
            switch self {
            case .status: .apusStatus
            case .validators: .chainValidators
            case .validatorRequests: .apusValidatorRequests
            case .transaction: .userTransactionQuery
            case .query: .userQuery
            }
        }

        func writeParameters(_ writer: inout JSONWriter) {
            writer.object {
                switch self {
                case .status, .validators, .validatorRequests: break
                case .transaction(let id): $0.member("tx_hash", hex: id)
                case .query(let sql, let parameters):
                    $0.member("query", text: sql)
                    $0.object("params") {
                        for parameter in parameters {
                            $0.name(parameter.name.string)
                            $0.value(parameter.value)
                        }
                    }
                }
            }
        }
    }
}
