import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Execution

/// Nonces, fees, transfers and write permissions.
@Suite struct AccountTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func balance(_ chain: ApplicationChain, _ key: PrivateKey) throws -> Amount? {
        try chain.application.account(AccountID(key.publicKey))?.balance
    }

    @Test func nonceMustFollow() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        func insert(_ id: Int, _ nonce: UInt64) throws -> Transaction {
            try chain.transaction(.rawStatement(RawStatement("INSERT INTO t VALUES (\(id))")), nonce: nonce)
        }
        let result = try chain.commit([
            insert(1, 1), insert(2, 0), insert(3, 3), insert(4, 2), insert(5, 2), insert(6, 3),
            insert(7, .max),
        ])
        #expect(result.results.map(\.code) == [4, 4, 4, 0, 4, 0, 4])
        #expect(try chain.rows("SELECT id FROM t ORDER BY id") == [[.int8(4)], [.int8(6)]])
        #expect(result.accounts.map(\.nonce) == [3])
        #expect(try chain.application.account(AccountID(chain.owner.publicKey))?.nonce == 3)
        #expect(try chain.application.account(AccountID(chain.stranger.publicKey)) == nil)
    }

    @Test func sendersCountForThemselves() throws {
        let chain = try ApplicationChain(try directory.open())
        let ethereum = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 7, count: 32))
        let payload = Payload.transfer(to: AccountID(chain.owner.publicKey), amount: 0)
        let result = try chain.commit([
            chain.transaction(payload), chain.transaction(payload, by: chain.stranger),
            chain.transaction(payload, by: ethereum),
            chain.transaction(payload, by: ethereum, ethereum: true),
            chain.transaction(payload),
        ])
        #expect(result.results.allSatisfy { $0.isOK })
        #expect(result.accounts.map(\.nonce).sorted() == [1, 1, 1, 2])
        #expect(result.accounts.map(\.id) == result.accounts.map(\.id).sorted())
    }

    @Test func transfers() throws {
        let huge: Amount = try #require(Amount("340282366920938463463374607431768211456000"))
        let chain = try ApplicationChain(try directory.open(), balances: [(1, huge)])
        let to = AccountID(chain.stranger.publicKey)
        let result = try chain.commit([
            chain.transaction(.transfer(to: to, amount: 1000)),
            chain.transaction(.transfer(to: to, amount: nil)),
            chain.transaction(.transfer(to: to, amount: -1)),
            chain.transaction(.transfer(to: to, amount: huge)),
            chain.transaction(.transfer(to: AccountID(chain.owner.publicKey), amount: 5)),
            chain.transaction(
                .transfer(to: AccountID(chain.owner.publicKey), amount: 400), by: chain.stranger),
        ])
        #expect(result.results.map(\.code) == [0, 8, 8, 6, 0, 0])
        #expect(try balance(chain, chain.owner) == Amount("340282366920938463463374607431768211455400"))
        #expect(try balance(chain, chain.stranger) == 600)
        // They survive a restart.
        let again = try directory.open()
        #expect(try again.account(to)?.balance == 600)
    }

    @Test func feesAreTakenUnlessGasIsFree() throws {
        let chain = try ApplicationChain(try directory.open(), isGasFree: false, balances: [(1, 100)])
        let payload = Payload.transfer(to: AccountID(chain.stranger.publicKey), amount: 10)
        let result = try chain.commit([
            chain.transaction(payload, fee: 30), chain.transaction(payload, fee: 90),
            chain.transaction(payload, fee: -5), chain.transaction(payload, fee: 55),
        ])
        #expect(result.results.map(\.code) == [0, 6, 8, 6])
        #expect(result.results.map(\.gas) == [30, 0, 0, 55])
        // The fee is deducted although the transfer fails for lack of balance.
        #expect(try balance(chain, chain.owner) == 5)
        #expect(result.accounts.map(\.nonce).max() == 4)

        chain.parameters.disabledGasCosts = true
        #expect(try chain.commit([chain.transaction(payload, fee: 1000)]).results[0].code == 6)
        #expect(try balance(chain, chain.owner) == 5)
    }

    @Test func onlyOwnerAndGrantedWrite() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let denied = try chain.run("INSERT INTO t VALUES (1)", by: chain.stranger)
        #expect(denied.code == 9)
        #expect(denied.log == "\(AccountID(chain.stranger.publicKey)) may not write")
        #expect(try chain.application.account(AccountID(chain.stranger.publicKey))?.nonce == 1)

        // Grant and revoke within one block.
        let hex = Hex.encode(chain.stranger.publicKey.bytes).uppercased()
        let result = try chain.commit([
            chain.statement("INSERT INTO grants VALUES ($who)", [("$who", .text(hex))]),
            chain.statement("INSERT INTO t VALUES (2)", by: chain.stranger),
            chain.statement("INSERT INTO grants VALUES ('00')", by: chain.stranger),
            chain.statement("DELETE FROM grants", by: chain.stranger),
            chain.statement("CREATE TABLE u (id INT PRIMARY KEY)", by: chain.stranger),
            chain.statement("DROP TABLE t", by: chain.stranger),
            chain.statement("DELETE FROM grants"),
            chain.statement("INSERT INTO t VALUES (3)", by: chain.stranger),
        ])
        #expect(result.results.map(\.code) == [0, 0, 9, 9, 9, 9, 0, 9])
        #expect(try chain.rows("SELECT id FROM t") == [[.int8(2)]])
    }

    @Test func revokedGrantOfAbandonedBlockStays() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let stranger = AccountID(chain.stranger.publicKey)
        _ = try chain.execute([
            chain.statement("INSERT INTO grants VALUES ('\(stranger)')"),
            chain.statement("INSERT INTO t VALUES (1)", by: chain.stranger),
        ])
        try chain.rollback()
        #expect(try chain.run("INSERT INTO t VALUES (1)", by: chain.stranger).code == 9)
    }

    @Test(arguments: [false, true]) func ethereumAddressesOwnAndAreGranted(_ isOwner: Bool) throws {
        let key = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 7, count: 32))
        let address = "0x" + Hex.encode(try #require(key.publicKey.ethereumAddress)).uppercased()
        let chain = try ApplicationChain(try directory.open("\(isOwner)"), owner: isOwner ? address : nil)
        if !isOwner { #expect(try chain.run("INSERT INTO grants VALUES ('\(address)')").isOK) }
        let payload = Payload.rawStatement(RawStatement("SELECT 1"))
        #expect(try chain.commit([chain.transaction(payload, by: key, ethereum: true)]).results[0].isOK)
        #expect(try chain.commit([chain.transaction(payload, by: key)]).results[0].code == 9)
        #expect(try chain.run("SELECT 1").isOK == !isOwner)
    }

    @Test func nobodyOwns() throws {
        let chain = try ApplicationChain(try directory.open(), owner: "")
        #expect(try chain.run("CREATE TABLE t (id INT PRIMARY KEY)").code == 9)
    }

    @Test func otherPayloadsAreAnswered() throws {
        let chain = try ApplicationChain(try directory.open())
        let garbage = TransactionBody(
            payload: SharedBytes([1, 2, 3]), payloadType: "raw_statement", nonce: 3,
            chainID: ApplicationChain.chainID)
        let result = try chain.commit([
            chain.transaction(.execute(ActionCall(namespace: "main", action: "record", arguments: []))),
            chain.transaction(.other(type: "create_resolution", bytes: SharedBytes([1]))),
            Transaction.signed(garbage, by: chain.owner),
        ])
        #expect(result.results.map(\.code) == [2, 2, 1])
        #expect(result.results[0].log == "this application has no actions: send raw_statement")
        #expect(result.accounts.map(\.nonce) == [3])
    }

    @Test func noopApplicationCountsNonces() throws {
        let chain = try ApplicationChain(NoopApplication(), balances: [(1, 10)])
        let first = try chain.statement("anything")
        let result = try chain.execute([first, first])
        #expect(result.results.map(\.code) == [0, 4])
        #expect(chain.application.tip == ApplicationTip(height: 0, appHash: .zero))
        try chain.application.rollback()
        #expect(try chain.commit([first, first]) == result)
        #expect(chain.application.tip == ApplicationTip(height: 1, appHash: result.appHash))
        #expect(
            try chain.application.account(AccountID(chain.owner.publicKey)) == Account(balance: 10, nonce: 1))
        #expect(try chain.commit([]).appHash != result.appHash)
        #expect(throws: ExecutionError.noDatabase) { try chain.rows("SELECT 1") }

        let other = try ApplicationChain(NoopApplication(), balances: [(1, 10)])
        #expect(try other.commit([other.statement("something else")]).appHash != result.appHash)
    }
}
