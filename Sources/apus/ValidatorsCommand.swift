import API
import Arguments
import Glibc
import JSON
import Log

/// `apus validators`: shows the validators and the pending changes to them.
struct ValidatorsCommand: Action {
    let rpc: RPCOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "validators", "Show the validators and the pending changes to them.",
            RPCOptions.parameters, OutputForm.parameter, action: ValidatorsCommand.init)
    }

    func run() async throws {
        let client = try rpc.client
        if output == .json {
            let validators = try await client.ask(.validators)
            let requests = try await client.ask(.validatorRequests)
            return try StandardOutput.print(
                JSONLine.object {
                    $0.name("validators")
                    $0.value(validators)
                    $0.name("requests")
                    $0.value(requests)
                })
        }
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

    /// Returns a time since 1970 in RFC 3339 format and UTC, or as a number if no calendar year can hold it.
    private static func time(milliseconds: Int64) -> String {
        var (seconds, parts) = (time_t(milliseconds / 1000), tm())
        guard gmtime_r(&seconds, &parts) != nil else { return "\(milliseconds) ms" }
        func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(Int(parts.tm_year) + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
        return "\(date)T\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))Z"
    }
}
