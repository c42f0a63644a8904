import Arguments
import Chain
import Crypto

extension TransactionCommand {
    /// `apus tx validator-join`, `-approve`, `-remove` and `-leave`: send a transaction about the validators.
    struct SendValidator: Action {
        let payload: Payload
        let sending: SendingOptions

        func run() async throws { try await sending.send(payload) }

        static var join: Command {
            Command(
                "validator-join", "Request to become a validator, with the node's key.",
                Parameter<UInt64>.option(
                    "power", .integer(1...UInt64(Int64.max)), default: 1, "Power to request."),
                SendingOptions.parameters
            ) { (power: UInt64, sending: SendingOptions) in
                SendValidator(payload: .validatorJoin(power: power), sending: sending)
            }
        }

        static var approve: Command {
            Command(
                "validator-approve", "Approve a candidate's request to join, with a validator's key.",
                .argument(.nodeID, "Candidate: <public key hex>#<key type>."),
                SendingOptions.parameters
            ) { (candidate: PublicKey, sending: SendingOptions) in
                SendValidator(payload: .validatorApprove(candidate), sending: sending)
            }
        }

        static var remove: Command {
            Command(
                "validator-remove", "Vote to remove a validator, with a validator's key.",
                .argument(.nodeID, "Validator: <public key hex>#<key type>."),
                SendingOptions.parameters
            ) { (validator: PublicKey, sending: SendingOptions) in
                SendValidator(payload: .validatorRemove(validator), sending: sending)
            }
        }

        static var leave: Command {
            Command(
                "validator-leave", "Stop being a validator, with the node's key.", SendingOptions.parameters
            ) { (sending: SendingOptions) in
                SendValidator(payload: .validatorLeave, sending: sending)
            }
        }
    }
}
