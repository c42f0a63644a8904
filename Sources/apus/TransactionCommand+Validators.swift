import Arguments
import Chain

extension TransactionCommand {
    /// `apus tx validator-join`, `-approve`, `-remove` and `-leave`: send a transaction about the validators.
    struct SendValidator: Action {
        let payload: Payload
        let sending: SendingOptions

        func run() async throws { try await sending.send(payload) }

        static var commands: [Subcommand] {
            [
                Subcommand("validator-join", join), Subcommand("validator-approve", approve),
                Subcommand("validator-remove", remove), Subcommand("validator-leave", leave),
            ]
        }

        private static var join: Command {
            command(
                "validator-join", "Request to become a validator, with the node's key.",
                .option("power", .integer(1...UInt64(Int64.max)), default: 1, "Power to request."),
                Payload.validatorJoin(power:))
        }

        private static var approve: Command {
            command(
                "validator-approve", "Approve a candidate's request to join, with a validator's key.",
                .argument(.nodeID, "Candidate: <public key hex>#<key type>."), Payload.validatorApprove)
        }

        private static var remove: Command {
            command(
                "validator-remove", "Vote to remove a validator, with a validator's key.",
                .argument(.nodeID, "Validator: <public key hex>#<key type>."), Payload.validatorRemove)
        }

        private static var leave: Command {
            Command(
                "validator-leave", "Stop being a validator, with the node's key.", SendingOptions.parameters
            ) { (sending: SendingOptions) in SendValidator(payload: .validatorLeave, sending: sending) }
        }

        private static func command<Value>(
            _ name: String, _ abstract: String, _ parameter: Parameter<Value>,
            _ payload: @escaping (Value) -> Payload
        ) -> Command {
            Command(name, abstract, parameter, SendingOptions.parameters) {
                (value: Value, sending: SendingOptions) in
                SendValidator(payload: payload(value), sending: sending)
            }
        }
    }
}
