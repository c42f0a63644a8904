import API
import ArgumentParser
import Chain
import Crypto
import Foundation

extension TransactionCommand {
    /// `apus tx validator-join`.
    struct ValidatorJoin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "validator-join", abstract: "Ask to become a validator, with the node's key.")

        @Option(help: "The power to ask for.")
        var power: UInt64 = 1

        @OptionGroup var sending: SendingOptions

        func run() async throws { try await sending.send(.validatorJoin(power: power)) }
    }

    /// `apus tx validator-approve`.
    struct ValidatorApprove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "validator-approve",
            abstract: "Approve a candidate's request to join, with a validator's key.")

        @Argument(help: "The candidate: <public key hex>#<key type>.")
        var nodeID: String

        @OptionGroup var sending: SendingOptions

        func run() async throws {
            try await sending.send(.validatorApprove(PublicKey(nodeID: nodeID)))
        }
    }

    /// `apus tx validator-remove`.
    struct ValidatorRemove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "validator-remove",
            abstract: "Vote for removing a validator, with a validator's key.")

        @Argument(help: "The validator: <public key hex>#<key type>.")
        var nodeID: String

        @OptionGroup var sending: SendingOptions

        func run() async throws {
            try await sending.send(.validatorRemove(PublicKey(nodeID: nodeID)))
        }
    }

    /// `apus tx validator-leave`.
    struct ValidatorLeave: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "validator-leave", abstract: "Stop being a validator, with the node's key.")

        @OptionGroup var sending: SendingOptions

        func run() async throws { try await sending.send(.validatorLeave) }
    }
}

/// `apus validators`.
struct ValidatorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validators",
        abstract: "Show who votes on blocks, and which changes of that are pending.")

    @OptionGroup var rpc: RPCOptions

    func run() async throws {
        let client = try rpc.client
        let (height, validators) = try await client.validators()
        print("after block \(height)")
        for validator in validators { print("validator  \(validator.nodeID)  power \(validator.power)") }
        let pending = try await client.validatorRequests()
        for request in pending.requests {
            let what = request.kind == "join" ? "join       " : "removal    "
            let power = request.kind == "join" ? "  power \(request.power)" : ""
            let expiry = Date(timeIntervalSince1970: TimeInterval(request.expiresAt) / 1000)
            print(
                "\(what)\(request.nodeId)\(power)  approved by \(request.approvedPower) of \(pending.totalPower)"
                    + "  until \(expiry.formatted(.iso8601))")
        }
    }
}
