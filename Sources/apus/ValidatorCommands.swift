import API
import Arguments
import Chain
import Crypto
import Glibc
import Log

extension TransactionCommand {
    /// `apus tx validator-join`.
    struct ValidatorJoin: Action {
        let power: UInt64
        let sending: SendingOptions

        static var command: Command {
            Command(
                "validator-join", "Ask to become a validator, with the node's key.",
                Parameter<UInt64>.option(
                    "power", .integer(1...UInt64(Int64.max)), default: 1, "The power to ask for."),
                SendingOptions.parameters,
                action: ValidatorJoin.init)
        }

        func run() async throws { try await sending.send(.validatorJoin(power: power)) }
    }

    /// `apus tx validator-approve`.
    struct ValidatorApprove: Action {
        let candidate: PublicKey
        let sending: SendingOptions

        static var command: Command {
            Command(
                "validator-approve", "Approve a candidate's request to join, with a validator's key.",
                .argument(.nodeID, "The candidate: <public key hex>#<key type>."),
                SendingOptions.parameters,
                action: ValidatorApprove.init)
        }

        func run() async throws { try await sending.send(.validatorApprove(candidate)) }
    }

    /// `apus tx validator-remove`.
    struct ValidatorRemove: Action {
        let validator: PublicKey
        let sending: SendingOptions

        static var command: Command {
            Command(
                "validator-remove", "Vote for removing a validator, with a validator's key.",
                .argument(.nodeID, "The validator: <public key hex>#<key type>."),
                SendingOptions.parameters,
                action: ValidatorRemove.init)
        }

        func run() async throws { try await sending.send(.validatorRemove(validator)) }
    }

    /// `apus tx validator-leave`.
    struct ValidatorLeave: Action {
        let sending: SendingOptions

        static var command: Command {
            Command(
                "validator-leave", "Stop being a validator, with the node's key.",
                SendingOptions.parameters, action: ValidatorLeave.init)
        }

        func run() async throws { try await sending.send(.validatorLeave) }
    }
}

/// `apus validators`.
struct ValidatorsCommand: Action {
    let rpc: RPCOptions

    static var command: Command {
        Command(
            "validators", "Show who votes on blocks, and which changes of that are pending.",
            RPCOptions.parameters, action: ValidatorsCommand.init)
    }

    func run() async throws {
        let client = try rpc.client
        let (height, validators) = try await client.validators()
        try StandardOutput.print("after block \(height)")
        for validator in validators {
            try StandardOutput.print(
                "validator  \(EscapedText(validator.nodeID))  power \(validator.power)")
        }
        let pending = try await client.validatorRequests()
        for request in pending.requests {
            let what = request.kind == "join" ? "join       " : "removal    "
            let power = request.kind == "join" ? "  power \(request.power)" : ""
            try StandardOutput.print(
                "\(what)\(EscapedText(request.nodeId))\(power)  approved by \(request.approvedPower) of "
                    + "\(pending.totalPower)  until \(Self.time(milliseconds: request.expiresAt))")
        }
    }

    /// A time since 1970 as RFC 3339 writes it, in UTC; as a number if it is beyond all years.
    private static func time(milliseconds: Int64) -> String {
        var (seconds, parts) = (time_t(milliseconds / 1000), tm())
        guard gmtime_r(&seconds, &parts) != nil else { return "\(milliseconds) ms" }
        func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(Int(parts.tm_year) + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
        return "\(date)T\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))Z"
    }
}
