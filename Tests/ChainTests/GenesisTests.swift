import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@Suite struct GenesisTests {
    static func sample() throws -> Genesis {
        let leader = try TestChain.key(1).publicKey
        let other = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 2, count: 32)).publicKey
        var parameters = NetworkParameters(leader: leader)
        parameters.joinExpiry = 90_000_000_000
        return Genesis(
            chainID: "apus-test", initialHeight: 3, databaseOwner: leader.nodeID,
            validators: ValidatorSet([Validator(key: leader, power: 1), Validator(key: other, power: 2)]),
            allocations: [
                Genesis.Allocation(
                    account: AccountID(other), amount: try #require(Amount("123456789012345678901234567890")))
            ], parameters: parameters)
    }

    @Test func writtenFileIsReadAgain() throws {
        let genesis = try Self.sample()
        let again = try Genesis(json: Array(genesis.json.utf8))
        #expect(again == genesis)
        #expect(again.hash == genesis.hash)
        #expect(again.databaseOwnerAccount == AccountID(try #require(genesis.leader)))
    }

    @Test func hashDependsOnEveryField() throws {
        let genesis = try Self.sample()
        var changed: [Genesis] = []
        for change: (inout Genesis) -> Void in [
            { $0.chainID = "other" }, { $0.initialHeight = 4 }, { $0.databaseOwner = "" },
            { $0.validators = ValidatorSet($0.validators.dropLast()) }, { $0.allocations = [] },
            { $0.parameters.maxBlockSize = 1 },
        ] {
            var next = genesis
            change(&next)
            changed.append(next)
        }
        #expect(Set(changed.map(\.hash) + [genesis.hash]).count == changed.count + 1)
    }

    @Test func fileOfKwilDB() throws {
        let key = "37fcaf441f2084621a8e3d01db40b89c4f8d9e68d42e46dabf6aa063fab7d0c8"
        let genesis = try Genesis(
            json: Array(
                """
                {
                  "chain_id": "kwil-chain", "initial_height": 0, "db_owner": "",
                  "validators": [{"pubkey": "\(key)", "type": "ed25519", "power": 1}],
                  "state_hash": null, "migration": {"start_height": 0, "end_height": 0},
                  "leader": {"type": "ed25519", "key": "\(key)"}, "max_block_size": 6291456,
                  "join_expiry": "168h0m0s", "disabled_gas_costs": true, "max_votes_per_tx": 200
                }
                """.utf8))
        #expect(genesis.parameters == NetworkParameters(leader: genesis.leader))
        #expect(genesis.databaseOwnerAccount == nil)
    }

    @Test(arguments: [
        (#""chain_id": "apus-test""#, #""chain_id": """#, "chain_id: must not be empty"),
        (#""chain_id": "apus-test""#, #""chain_id": 5"#, "chain_id: must be a string"),
        (#""chain_id": "apus-test""#, #""chain": "apus-test""#, "chain_id: is missing"),
        (#""chain_id": "apus-test""#, #""chain_id": "a b""#, "chain_id: must be printable ASCII"),
        (
            #""chain_id": "apus-test""#, #""chain_id": "\#(String(repeating: "x", count: 495))""#,
            "chain_id: has 495 bytes; a protocol ID has room for 494"
        ),
        (
            #""max_block_size": 6291456"#, #""max_block_size": 270000001"#,
            "max_block_size: exceeds 270000000"
        ),
        (#""initial_height": 3"#, #""initial_height": -1"#, "initial_height: must be at least 0"),
        (
            #""initial_height": 3"#, #""initial_height": 9223372036854775806"#,
            "initial_height: exceeds 4611686018427387904"
        ),
        (#""initial_height": 3"#, #""initial_height": "x""#, "initial_height: must be a whole number"),
        (#""power": 2"#, #""power": 0"#, ".power: must be at least 1"),
        (#""power": 2"#, #""power": 2, "colour": "red""#, ".colour: is unknown"),
        (#""join_expiry": "90s""#, #""join_expiry": "90 parsecs""#, "join_expiry: is not a duration"),
        (#""join_expiry": "90s""#, #""join_expiry": "9999999999h""#, "join_expiry: is not a duration"),
        (#""max_block_size": 6291456"#, #""max_block_size": 0"#, "max_block_size: must be at least 1"),
        (#""max_block_size": 6291456"#, #""max_block_sise": 1"#, "max_block_sise: is unknown"),
        (
            #""disabled_gas_costs": true"#, #""disabled_gas_costs": 1"#,
            "disabled_gas_costs: must be true or false"
        ),
        (#""amount": "1234"#, #""amount": "-1234"#, "alloc[0].amount: must not be negative"),
        (#""chain_id""#, #"chain_id"#, "not JSON: expected a quoted name or \"}\" (line 2, column 3)"),
        (
            #""initial_height": 3"#, #""initial_height": 3, "initial_height": 7"#,
            #"duplicate key "initial_height" (line 3, column 24)"#
        ),
        (#""power": 2"#, #""power": 2, "power": 2"#, #"validators[0]: duplicate key "power" (line 7, "#),
        (
            #""max_votes_per_tx": 200"#, #""max_votes_per_tx": 200,"#,
            "not JSON: expected a quoted name (line"
        ),
        (#""db_owner": ""#, #""db_owner": "\ud800"#, "an unpaired surrogate"),
        (#""power": 2"#, #""power": 2.0"#, "validators[0].power: must be a whole number"),
        (#""power": 2"#, #""power": 9223372036854775808"#, "validators[0].power: must be a whole number"),
    ])
    func mistakesAreNamed(_ original: String, _ mistake: String, _ expected: String) throws {
        let json = try Self.sample().json
        try #require(json.contains(original))
        do {
            _ = try Genesis(
                json: Array(json.replacing(original, with: mistake).utf8), file: "g.json")
            Issue.record("accepted")
        } catch {
            #expect("\(error)".hasPrefix("g.json: "))
            #expect("\(error)".contains(expected), "\(error)")
            #expect(!"\(error)".contains("\n"))
        }
    }

    @Test func leaderMustBeAValidator() throws {
        var genesis = try Self.sample()
        genesis.parameters.leader = try TestChain.key(9).publicKey
        #expect(throws: ChainError.genesis("genesis.json: leader: is not one of the validators")) {
            _ = try Genesis(json: Array(genesis.json.utf8))
        }
    }

    /// The layout that other programs read must not change.
    @Test func theFilesLayout() throws {
        let genesis = try Self.sample()
        let leader = Hex.encode(try #require(genesis.leader).bytes)
        let other = Hex.encode(genesis.allocations[0].account.identifier)
        #expect(
            genesis.json == """
                {
                  "chain_id": "apus-test",
                  "initial_height": 3,
                  "db_owner": "\(leader)#ed25519",
                  "leader": {"type": "ed25519", "key": "\(leader)"},
                  "validators": [
                    {"identifier": "\(other)", "key_type": "secp256k1", "power": 2},
                    {"identifier": "\(leader)", "key_type": "ed25519", "power": 1}
                  ],
                  "alloc": [
                    {"id": "\(other)", "key_type": "secp256k1", "amount": "123456789012345678901234567890"}
                  ],
                  "max_block_size": 6291456,
                  "join_expiry": "90s",
                  "disabled_gas_costs": true,
                  "max_votes_per_tx": 200
                }

                """)
    }

    @Test func missingFile() {
        #expect(
            throws: ChainError.genesis("cannot read /nowhere/genesis.json: No such file or directory")
        ) {
            _ = try Genesis.load("/nowhere/genesis.json")
        }
    }
}
