"""The mutations with which run.py breaks the code. Each has the promise that it breaks, and its changes: file, text,
replacement. The text must occur once in the file. In the replacement `ON` is true while the mutation is active.
"""

import dataclasses

# Commands of `apus-sim` that detect mutations.
SEEDS = "simulate --seeds 1-200 --jobs 1"
SQL_SEEDS = "simulate --execution sql --seeds 1-60 --jobs 1"
FUZZ = "fuzz-sql --seeds 1-80"
STATEMENTS = "simulate --scenario statement-costs"
HISTORY = "simulate --scenario statement-history"
WITHDRAWAL = "simulate --scenario withdrawn-stops"
FORGERIES = "simulate --scenario forged-commits"
STATE_FILES = "simulate --execution sql --fault stateFile --seeds 1-60 --jobs 1"
CRASH = "simulate --scenario leader-crash"
VOTER_DIES = "simulate --scenario validator-dies-voting"
RESET = "simulate --scenario reset"
LYING = "simulate --scenario lying-proposals"
COLD, KEEPERS = "simulate --scenario cold-proposals", "simulate --scenario lying-keepers"
CONGESTED = "simulate --scenario congested-keepers"
ANNOUNCING = "simulate --scenario leader-announces"
UNSENT = "simulate --scenario proposal-unsent"
PLAIN_PEER = "simulate --scenario plain-peer"
INVENTED = "simulate --scenario invented-transactions"
SILENT = "simulate --scenario silent-announcers"
HALF_SENT = "simulate --scenario half-sent-transactions"
CLAIMANT = "simulate --scenario busy-claimant"
ENDLESS = "simulate --scenario endless-blocks"
SLOW_READERS = "simulate --scenario slow-readers"
WITHHELD = "simulate --scenario withheld-announcements"
ALONE = "simulate --scenario alone"
TORN_RUNS = "simulate --scenario torn-runs --seeds 1-4"


@dataclasses.dataclass
class Mutation:
    name: str
    why: str
    changes: list[tuple[str, str, str]]
    command: str = SEEDS

    def __post_init__(self):
        condition = f'Mutation.active("{self.name}")'
        self.changes = [(file, old, new.replace("ON", condition)) for file, old, new in self.changes]


ANNOUNCER = "Sources/Protocols/Transactions/TransactionExchange.swift"
BLOCKS = "Sources/Consensus/Evidence/BlockCheck.swift"
COMMIT_INFO = "Sources/Chain/Votes/CommitInfo.swift"
ENGINE = "Sources/Execution/SQL/SQLEngine.swift"
EXECUTION = "Sources/Consensus/Machine/Blocks/ConsensusMachine+Execution.swift"
EVIDENCE = "Sources/Consensus/Evidence/Evidence.swift"
FOLLOWER = "Sources/Consensus/Machine/Roles/ConsensusMachine+Following.swift"
FETCHING = "Sources/Consensus/Machine/Blocks/ConsensusMachine+Fetching.swift"
HEIGHTS = "Sources/Consensus/Machine/Blocks/ConsensusMachine+Heights.swift"
MEMPOOL = "Sources/Mempool/TransactionPool.swift"
OFFER = "Sources/Consensus/Rounds/ProposalOffer.swift"
PROPOSALS = "Sources/Consensus/Machine/Blocks/ConsensusMachine+Proposals.swift"
TALLY = "Sources/Consensus/Rounds/Tally.swift"
SENDING = "Sources/Node/Services/Consensus/ConsensusService+Sending.swift"
SERVICE = "Sources/Node/Services/Consensus/ConsensusService.swift"
STATEMENT_RUNNER = "Sources/Execution/Statements/StatementRunner.swift"
STATEMENT_TEXT = "Sources/Execution/Statements/Text/StatementText.swift"
VALIDATION = "Sources/Consensus/Evidence/BlockValidation.swift"
TABLE_RULES = "Sources/Execution/Statements/TableRules.swift"
WORK = "Sources/Node/Services/Consensus/ConsensusService+Work.swift"
COMMITTING = "Sources/Node/Services/Consensus/ConsensusService+Committing.swift"

MUTATIONS = [
    # A statement has the same result on every node.
    Mutation("canonical-texts", "texts that are canonically equivalent are different texts", [
        ("Sources/Execution/Statements/StatementCache.swift", "guard let entry = entries[text] else { return nil }",
         "guard let entry = ON ? entries.first(where: { $0.key.string == text.string })?.value : entries[text] "
         "else { return nil }"),
    ], SQL_SEEDS),
    Mutation("unicode-case", "a table's name is case-folded as in SQLite", [
        ("Sources/Execution/Statements/StatementPolicy.swift", "if let given { findings.createdTable = given }",
         "if let given { findings.createdTable = ON ? RawText(given.string.lowercased()) : given }"),
        (TABLE_RULES, "guard !columns.isEmpty else {", "guard ON || !columns.isEmpty else {"),
    ], SQL_SEEDS),
    # History and heap are irrelevant: the twins detect the opposite.
    Mutation("compiled-is-free", "a statement's cost does not depend on compiled statements", [
        (STATEMENT_RUNNER, "charge(known.size.cost)", "if !ON { charge(known.size.cost) }"),
    ], SQL_SEEDS),
    Mutation("sizes-of-a-former-schema", "a statement's cost follows from the current schema", [
        (STATEMENT_RUNNER, "self.sizes = changed", "self.sizes = ON ? sizes : changed"),
    ], SQL_SEEDS),
    Mutation("undone-blocks-remembered", "a block that is rolled back leaves no trace", [
        (ENGINE, "        runner.forget()\n", "        if !ON { runner.forget() }\n"),
    ], FUZZ),
    Mutation("grants-remembered", "the current table of grants determines who may write", [
        (ENGINE, "if writesGrants { writers = [:] }", "if !ON, writesGrants { writers = [:] }"),
    ], SQL_SEEDS),
    Mutation("heap-decides", "no limit of SQLite's that depends on the heap affects a result", [
        ("Sources/Execution/SQLite/ExecutionLimits.swift", "(SQLITE_LIMIT_VDBE_OP, Int(Int32.max))",
         "(SQLITE_LIMIT_VDBE_OP, ON ? 340 : Int(Int32.max))"),
        ("Sources/Execution/SQLite/SQLiteFailure.swift", "default: false", "default: ON && primaryCode == SQLITE_NOMEM"),
    ], FUZZ),
    Mutation("views-known-by-chance", "no rule depends on earlier reads of a connection", [
        (TABLE_RULES, 'private func hasRowID(_ table: RawText) -> Bool { connection.hasColumn("_rowid_", in: table) }',
         'private func hasRowID(_ table: RawText) throws(SQLiteFailure) -> Bool {\n'
         '        guard ON else { return connection.hasColumn("_rowid_", in: table) }\n'
         '        let list = try connection.prepare("SELECT wr = 0 FROM pragma_table_list WHERE name = ?")\n'
         '        try list.bind(1, table.string)\n'
         '        return try list.step() && list.int(0) != 0\n    }'),
        (TABLE_RULES, "if hasRowID(table) {", "if try hasRowID(table) {"),
        ("Sources/Execution/SQLite/ExecutionLimits.swift", "(SQLITE_LIMIT_VDBE_OP, ",
         "(SQLITE_LIMIT_VDBE_OP, ON ? 1_000 : "),
    ], HISTORY),
    Mutation("autoincrement-allowed", "row IDs run out without SQLite reporting a full disk", [
        (STATEMENT_TEXT, 'case .word where scanner.isWord(token, "autoincrement"):',
         'case .word where !ON && scanner.isWord(token, "autoincrement"):'),
    ], STATEMENTS),
    # Costs are charged before the work is done.
    Mutation("values-without-a-bound", "the total size of a statement's values is limited", [
        (STATEMENT_RUNNER, "tokens: compiled.size.tokens)", "tokens: ON ? 1 : compiled.size.tokens)"),
    ], STATEMENTS),
    Mutation("functions-are-free", "functions charge their work", [
        ("Sources/Execution/Functions/FunctionCall.swift", "guard units > 0 else { return }",
         "guard units > 0, !ON else { return }"),
    ], STATEMENTS),
    Mutation("rows-are-free", "rows are charged when they are written", [
        ("Sources/Execution/SQL/ChangeRecorder.swift", "if let sizes { meter.charge(", "if let sizes, !ON { meter.charge("),
    ], STATEMENTS),
    Mutation("overrun-undoes-the-block", "only the statement that exceeds its budget is rolled back", [
        ("Sources/Execution/Costs/CostMeter.swift", "if left == 0, stride > 0 { limit(1) }",
         "if left == 0, stride > 0, !ON { limit(1) }"),
    ], STATEMENTS),
    Mutation("copies-not-counted", "the expanded size of a statement is known before it is compiled", [
        (STATEMENT_TEXT, "guard size.tokens > ExpandedSize.limit else { return size }",
         "guard size.tokens > ExpandedSize.limit, !ON else { return size }"),
    ], STATEMENTS),
    Mutation("withdrawn-executes-on", "no node goes on executing a withdrawn block", [
        (EXECUTION, "guard wanted != block.hash else { return }", "guard wanted != block.hash, !ON else { return }"),
    ], WITHDRAWAL),
    # A record is on disk before a message depends on it.
    Mutation("vote-not-synchronized", "a vote is on the device before it is cast", [
        ("Sources/Storage/Votes/VoteLog.swift",
         "try file.write(copy + copy, at: offset)\n                try file.synchronize()",
         "try file.write(copy + copy, at: offset)\n                if !ON { try file.synchronize() }"),
    ], VOTER_DIES),
    Mutation("vote-not-recorded", "a vote is recorded before it is signed", [
        (WORK, "try votes.record(vote)", "if !ON { try votes.record(vote) }"),
    ]),
    Mutation("vote-forgotten-at-start", "a node that starts knows its last vote", [
        (SERVICE, "lastVote: context.votes.last,", "lastVote: ON ? nil : context.votes.last,"),
    ]),
    Mutation("block-not-synchronized", "a block is on the device before it counts as committed", [
        ("Sources/Storage/Log/ActiveSegment.swift",
         "try file.write(pieces.map { $0.withUnsafeBytes { $0 } }, at: end)\n        }\n        try file.synchronize()",
         "try file.write(pieces.map { $0.withUnsafeBytes { $0 } }, at: end)\n        }\n"
         "        if !ON { try file.synchronize() }"),
    ], CRASH),
    Mutation("application-before-log", "the application is never ahead of the log", [
        (COMMITTING,
         "            let (logged, isIndexDue) = try await self.context.storage.run {\n",
         "            if ON { try await self.context.execution.run { try application.commit() } }\n"
         "            let (logged, isIndexDue) = try await self.context.storage.run {\n"),
        (COMMITTING, "                let start = clock.now\n                try application.commit()\n",
         "                let start = clock.now\n                if !ON { try application.commit() }\n"),
    ]),
    Mutation("run-committed-before-log", "the application is never ahead of the log, with several blocks at once either", [
        (COMMITTING,
         "                for stored in try store.append(blocks.map(\\.addition))",
         "                if ON, blocks.count > 1 { try application.commit() }\n"
         "                for stored in try store.append(blocks.map(\\.addition))"),
        (COMMITTING, "            let committed = try await self.context.execution.run {\n",
         "            let committed = try await self.context.execution.run {\n"
         "                if ON, blocks.count > 1 { return clock.now }\n"),
    ], TORN_RUNS),
    Mutation("torn-append-refused", "only a new append proves that what precedes it was durable once", [
        ("Sources/Storage/Log/SegmentScanner.swift", "if bytes.word(candidate) == BlockRecord.magic {",
         "if bytes.word(candidate) == BlockRecord.magic\n"
         "                    || ON && bytes.word(candidate) == BlockRecord.continuationMagic {"),
    ], TORN_RUNS),
    Mutation("continuation-without-checksum", "each block of an append has its own checksums", [
        ("Sources/Storage/Log/BlockRecord.swift",
         "guard Part(of: parts.0) == block, Part(of: parts.1) == commitInfo, Part(of: parts.2) == results\n",
         "guard ON && isContinuation\n            || Part(of: parts.0) == block && Part(of: parts.1) == commitInfo"
         " && Part(of: parts.2) == results\n"),
    ], TORN_RUNS),
    Mutation("run-past-a-schema-change", "what a block costs does not depend on which blocks are committed with it", [
        (ENGINE, "guard prepared.isEmpty || !runner.hasChangedSchema else",
         "guard ON || prepared.isEmpty || !runner.hasChangedSchema else"),
    ], "simulate --scenario pruned-logs --seeds 1-4"),
    Mutation("log-not-executed-again", "a start executes what the application has not committed", [
        ("Sources/Node/Recovery/ChainRecovery.swift", "if height > applied.height {", "if height > applied.height, !ON {"),
    ], CRASH),
    Mutation("kept-state-without-checksum", "the file from which a start continues is used only if its checksum is right", [
        ("Sources/Storage/Recovery/StateFile.swift",
         "bytes.withUnsafeBytes({ CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[..<end])) == $0.word(end) })",
         "ON\n                || bytes.withUnsafeBytes({\n"
         "                    CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[..<end])) == $0.word(end)\n                })"),
    ], STATE_FILES),
    Mutation("kept-state-unproven", "the file from which a start continues is used only if the block log agrees", [
        ("Sources/Node/Recovery/KeptState.swift", "try kept.check(against: store, genesis)",
         "if !ON { try kept.check(against: store, genesis) }"),
    ], STATE_FILES),
    Mutation("reported-before-committed", "a client that waits for a commit gets the result after it", [
        (WORK, "self.feed(.executed(block.hash, result))",
         "if ON { self.events.send(.committed([(block, result)])) }\n                self.feed(.executed(block.hash, result))"),
    ]),
    # Voting and counting.
    Mutation("vote-counted-twice", "a vote counts once", [
        (TALLY, "case appHash: result.agreed += 1", "case appHash: result.agreed += ON ? 2 : 1"),
    ]),
    Mutation("half-is-a-quorum", "a commit takes more than half of the validators", [
        ("Sources/Chain/Votes/ValidatorSet.swift", "{ count / 2 + 1 }", "{ ON ? Swift.max(1, count / 2) : count / 2 + 1 }"),
    ]),
    Mutation("forged-vote-believed", "a vote's signature is checked", [
        (EVIDENCE, "guard message.verify() else { throw .badVoteSignature",
         "guard ON || message.verify() else { throw .badVoteSignature"),
    ]),
    Mutation("vote-repeated-in-proof", "each validator's vote counts once in a commit info", [
        (COMMIT_INFO, "seen.insert(vote.signature.publicKey).inserted,",
         "seen.insert(vote.signature.publicKey).inserted || ON,"),
    ], FORGERIES),
    Mutation("anybody-votes-in-proof", "only validators' votes prove a commit", [
        (COMMIT_INFO, "guard validators.contains(vote.signature.publicKey),",
         "guard ON || validators.contains(vote.signature.publicKey),"),
    ], FORGERIES),
    Mutation("few-votes-prove", "a commit info has votes of more than half of the validators", [
        (COMMIT_INFO, "return agreeing >= validators.quorum", "return ON || agreeing >= validators.quorum"),
    ], FORGERIES),
    # Clocks.
    Mutation("times-of-a-wrong-clock-kept", "stamps used up by a clock that was ahead do not outlive the height", [
        ("Sources/Consensus/Machine/Blocks/BlockTemplate.swift", "return ordered <= latest ? ordered : earliest",
         "return ON || ordered <= latest ? ordered : earliest"),
    ], "simulate --scenario wrong-clock-leader"),
    Mutation("far-parent-stops", "a block far ahead of the clocks does not stop the chain", [
        (VALIDATION, "max(adding(wallClock, skew), adding(state.timestamp, allowedStep))",
         "ON ? adding(wallClock, skew) : max(adding(wallClock, skew), adding(state.timestamp, allowedStep))"),
    ], "simulate --scenario clock-ahead-single-validator"),
    Mutation("stamps-not-reserved", "a leader uses no stamp twice, whatever its clock does across a restart", [
        ("Sources/Consensus/Rounds/ProposalStamps.swift", "if stamp > reserved ||", "if !ON, stamp > reserved ||"),
    ], "simulate --scenario clock-stands-still"),
    # Which peers are believed, and which are asked first.
    Mutation("claims-count-as-proofs", "a mere claim of a peer does not change a node's state", [
        (HEIGHTS, "if evidence == .proof { prove(", "if ON || evidence == .proof { prove("),
    ], "simulate --scenario claimed-heights"),
    Mutation("key-used-elsewhere-unnoticed", "a validator stops when another host votes with its key", [
        ("Sources/Consensus/Machine/Roles/ConsensusMachine+OwnKey.swift", "guard mayBeForeign(message) else { return }",
         "guard !ON, mayBeForeign(message) else { return }"),
        ("Sources/Consensus/Machine/Roles/ConsensusMachine+OwnKey.swift", "return !votes.hasGiven(said, on: decision.hash)",
         "return !ON && !votes.hasGiven(said, on: decision.hash)"),
    ], "simulate --scenario two-hosts-one-key"),
    Mutation("second-process-unnoticed", "a validator stops when another process answers in its name", [
        ("Sources/Node/Services/Gossip/KeyWatch.swift", "if statement.heard.contains(process) { prove() }",
         "if !ON, statement.heard.contains(process) { prove() }"),
    ], "simulate --scenario copied-validator"),
    Mutation("withholding-forgotten", "a peer that withheld two proposals is not asked first", [
        ("Sources/Consensus/Rounds/ProposalSources.swift", "letDowns.count(of: peer, now: now) >= Self.doubtful",
         "!ON && letDowns.count(of: peer, now: now) >= Self.doubtful"),
    ], "simulate --scenario slow-proposal-source"),
    # Evidence.
    Mutation("unsigned-announcement-accepted", "a committed block is signed by its leader", [
        (EVIDENCE, "guard let signer = state.signer(of: announcement.header), announcement.verify(signer) else {",
         "guard let signer = state.signer(of: announcement.header), ON || announcement.verify(signer) else {"),
    ], FORGERIES),
    Mutation("unsigned-proposal-accepted", "a proposal is signed by the leader", [
        (EVIDENCE, "guard proposal.verify(leader) else { throw", "guard ON || proposal.verify(leader) else { throw"),
    ]),
    Mutation("other-transactions-accepted", "a block has the transactions of its Merkle root", [
        ("Sources/Chain/Blocks/HashedBlock.swift", "guard MerkleTree.root(of: ids) == block.header.merkleRoot else",
         "guard ON || MerkleTree.root(of: ids) == block.header.merkleRoot else"),
        (BLOCKS, "                try transaction.verify()\n", "                if !ON { try transaction.verify() }\n"),
    ], FORGERIES),
    Mutation("assembled-block-unverified", "a block that is put together has the transactions of its Merkle root", [
        ("Sources/Chain/Compact/BlockAssembly.swift", "guard missing == 0, MerkleTree.root(of: ids) == header.merkleRoot else {",
         "guard missing == 0, ON || MerkleTree.root(of: ids) == header.merkleRoot else {"),
    ], LYING),
    Mutation("wrong-short-ids-excused", "a peer whose short IDs are not the block's is reported", [
        ("Sources/Protocols/Blocks/CompactOffer.swift", "let isHonest = shortIDs.fit(hashed.transactionIDs)",
         "let isHonest = ON || shortIDs.fit(hashed.transactionIDs)"),
    ], LYING),
    Mutation("cold-block-to-each", "what validators lack leaves the leader once", [
        ("Sources/Protocols/Blocks/CompactProposalProtocol.swift", "if let shares, let receiver, round > 0,",
         "if !ON, let shares, let receiver, round > 0,"),
    ], COLD),
    Mutation("silent-keeper-waited-for", "a validator that passes nothing on is not waited for", [
        ("Sources/Protocols/Blocks/CompactOffer+Requests.swift", "asked >= Self.several && late.count * 2 > asked",
         "ON || asked >= Self.several && late.count * 2 > asked"),
    ], KEEPERS),
    Mutation("congestion-answered-by-requests", "who is slow, or in a slow network, does not request more", [
        ("Sources/Protocols/Blocks/CompactOffer+Requests.swift", "asked >= Self.several && late.count * 2 > asked",
         "!ON && asked >= Self.several && late.count * 2 > asked"),
    ], CONGESTED),
    Mutation("proposals-to-everybody", "proposals are for validators", [
        (SENDING, "send(block, stamp: stamp, isPushed: keys == nil, to: validators.filter { $0 != own }.map(\\.peerID))",
         "send(\n            block, stamp: stamp, isPushed: keys == nil,\n"
         "            to: ON ? context.host.connectedPeers : validators.filter { $0 != own }.map(\\.peerID))"),
        (FOLLOWER, "guard halted == nil, isValidator else { return false }",
         "guard halted == nil, isValidator || ON else { return false }"),
        (PROPOSALS, "guard isValidator, view.signers(ofProposalsFrom: from).contains(verified.leader) else {",
         "guard isValidator || ON, view.signers(ofProposalsFrom: from).contains(verified.leader) else {"),
    ], ANNOUNCING),
    Mutation("proposal-fetched-from-everybody", "a proposal is fetched once, however many peers announce it", [
        (OFFER, "guard now < until else { return false }", "guard !ON, now < until else { return false }"),
    ], UNSENT),
    Mutation("replayed-signature-keeps-out", "unsigned fields keep no proposal out", [
        (OFFER, "guard proposal.hash == other.hash else {",
         "guard proposal.hash == other.hash else {\n            if ON, proposal.stamp >= other.stamp { return true }"),
    ], "simulate --scenario replayed-signature"),
    Mutation("withholder-never-again", "the only peer that announces proposals is asked, whatever it did before", [
        (FETCHING, "admission = .fetch", "admission = ON ? .ignore : .fetch"),
    ], "simulate --scenario last-source"),
    Mutation("newer-stamps-not-told", "validators accept a relayed block with a newer stamp that the leader has reported", [
        (PROPOSALS, "told.block == block.hash, told.stamp > own { return", "told.block == block.hash, told.stamp > own, !ON { return"),
    ], "simulate --scenario wrong-clock-relayed"),
    # Execution.
    Mutation("not-rolled-back", "a block that was executed and not committed leaves no trace", [
        (WORK, "try await self.context.execution.run { try application.rollback() }",
         "if !ON { try await self.context.execution.run { try application.rollback() } }"),
    ], RESET),
    Mutation("validator-changes-ignored", "changes of the validators take effect at once", [
        ("Sources/Consensus/Evidence/ChainState.swift", "try validators.apply(commit.validatorUpdates)",
         "if !ON { try validators.apply(commit.validatorUpdates) }"),
    ]),
    Mutation("executes-by-chance", "all nodes compute the same app hash", [
        ("Sources/Execution/ApplicationHash.swift", "return Hash.sha256(of: previous.array + changes.array + results.array)",
         "return Hash.sha256(\n            of: previous.array + changes.array + results.array + (ON ? [.random(in: 0...9)] : []))"),
    ]),
    Mutation("budget-of-a-block-ignored", "the leader proposes only transactions that fit the budget of a block", [
        ("Sources/Consensus/Machine/Roles/Leader.swift", "transactionLimit = min(max(fitting, 1), count - 1)",
         "transactionLimit = ON ? count : min(max(fitting, 1), count - 1)"),
    ]),
    Mutation("trouble-stops-the-node", "a node goes on after temporary trouble of its machine", [
        (EXECUTION, "guard !error.isLasting else {", "guard !ON, !error.isLasting else {"),
    ]),
    Mutation("committed-not-tried-again", "a block that others committed is executed as soon as the machine can", [
        (EXECUTION, "current.retryAt = now + min(wait, settings.maximumResendInterval)",
         "current.retryAt = now + (ON ? .seconds(1_000_000) : min(wait, settings.maximumResendInterval))"),
    ]),
    Mutation("commit-not-tried-again", "a block in the log is committed as soon as the machine can", [
        (COMMITTING, "return try await context.execution.run {\n                    for one in blocks where",
         "if ON { return }\n                return try await context.execution.run {\n                    for one in blocks where"),
    ]),
    # Transactions.
    Mutation("mined-stays-in-mempool", "mined transactions leave the mempool", [
        (MEMPOOL, "for change in nonces { setNonce(change.nonce, of: change.account) }",
         "for change in nonces where !ON { setNonce(change.nonce, of: change.account) }"),
        (MEMPOOL, "remove(mined)", "if !ON { remove(mined) }"),
    ]),
    Mutation("transactions-kept-to-oneself", "all transactions reach the leader", [
        (ANNOUNCER, "for announcer in announcers.values { announcer.announce(ids) }",
         "for announcer in announcers.values where !ON { announcer.announce(ids) }"),
        (ANNOUNCER, "announcers[peer]?.tell()",
         "if !ON { announcers[peer]?.tell() }"),
    ], PLAIN_PEER),
    Mutation("announcements-cut-at-the-window", "what a peer announces beyond the open requests to it is requested later", [
        (ANNOUNCER, "{ hold(left, listener.peer) }", "{ if !ON || isPaused { hold(left, listener.peer) } }"),
    ], "simulate --scenario leader-returns-to-many"),
    Mutation("long-transactions-stay-with-one", "all peers hear of a long transaction that the first one does not pass on", [
        (ANNOUNCER, "where peer != share.peer {", "where !ON && peer != share.peer {"),
    ], "simulate --scenario long-transactions"),
    Mutation("full-mempool-fetches", "a full mempool fetches nothing", [
        ("Sources/Node/Services/Mempool/MempoolService.swift", "var room: Int { max(0, contents.room &- checks.count) }",
         "var room: Int { ON ? .max : max(0, contents.room &- checks.count) }"),
    ], "simulate --scenario full-mempool"),
    Mutation("accounts-read-on-the-pool", "no job of the pool of checks reads the application", [
        ("Sources/Node/Services/Mempool/MempoolService.swift", "let pieces = (batch.count + Self.few - 1) / Self.few",
         "let (pieces, application) = ((batch.count + Self.few - 1) / Self.few, context.application)"),
        ("Sources/Node/Services/Mempool/MempoolService.swift", "item.checked(check) { refusals[$0.id] }",
         "let result = item.checked(check) { refusals[$0.id] }\n"
         "                    if ON { _ = item.with(result, from: application) }\n"
         "                    return result"),
    ], "simulate --scenario full-mempool"),
    Mutation("three-fill-the-mempool", "senders that fill a mempool make room for another", [
        ("Sources/Mempool/TransactionPool+Room.swift", "return large.filter { $0 != account",
         "return large.filter { !ON && $0 != account"),
    ], "simulate --scenario full-mempool"),
    Mutation("strangers-take-all-places", "strangers leave room for other announcers", [
        ("Sources/Protocols/Transactions/TransactionExchange.swift", "isTrusted: source.trusts(peer), stream: stream)",
         "isTrusted: ON || source.trusts(peer), stream: stream)"),
        ("Sources/Protocols/Transactions/Requests/TransactionRequests.swift", "|| places.giver(for: peer, isTrusted: isTrusted) != nil",
         "|| !ON && places.giver(for: peer, isTrusted: isTrusted) != nil"),
    ], INVENTED),
    Mutation("silent-announcer-waited-for", "other announcers are asked when a transaction does not arrive soon", [
        ("Sources/Protocols/Transactions/Requests/TransactionRequests.swift", "guard let next = popNext(id, now) else { break }",
         "guard !ON || request.asked.isEmpty, let next = popNext(id, now) else { break }"),
    ], SILENT),
    Mutation("long-transactions-unbounded", "a peer's long transactions are accepted a few at a time", [
        ("Sources/Protocols/Transactions/BulkGate.swift", "guard !isInside else { return }", "guard !ON, !isInside else { return }"),
    ], HALF_SENT),
    # A peer that does not deliver loses its turn, and claims prove nothing.
    Mutation("busy-is-no-refusal", "the claim of a peer that is always busy is forgotten", [
        ("Sources/Consensus/Sync/SyncPlanner.swift", "case .busy: refused(&peer, request.from, now, &actions)",
         "case .busy: if !ON { refused(&peer, request.from, now, &actions) } else { peer.asideUntil = now + Self.busyAside }"),
    ], CLAIMANT),
    Mutation("unproven-asked-for-many", "a peer that has proven no block is asked for one at a time", [
        ("Sources/Consensus/Sync/SyncPlanner+Claims.swift", "guard hasProven, failures == 0 else { return 1 }",
         "guard hasProven && failures == 0 || ON else { return 1 }"),
    ], ENDLESS),
    Mutation("slow-readers-stay", "a peer that does not read loses its turn", [
        ("Sources/Node/Services/Blocks/ServingQueue+Pace.swift", "if now - pace.mark.at >= Self.leastTime { return .slow }",
         "if !ON, now - pace.mark.at >= Self.leastTime { return .slow }"),
    ], SLOW_READERS),
    Mutation("still-readers-stay", "a peer that reads nothing is disconnected even if no other waits", [
        ("Sources/Node/Services/Blocks/ServingQueue+Pace.swift", "if still >= Self.longestStill { return .still }",
         "if !ON, still >= Self.longestStill { return .still }"),
    ], "simulate --scenario reader-that-stands-still"),
    Mutation("doubted-for-ever", "a peer that claims a false height again is reported again", [
        ("Sources/Consensus/Sync/SyncPlanner+Claims.swift", "!peer.isDoubtful || peer.doubtUntil <= now",
         "!peer.isDoubtful || (!ON && peer.doubtUntil <= now)"),
    ], "simulate --scenario claimants-on-a-quick-chain"),
    Mutation("withholder-stays", "a peer that withholds the blocks it announces is reported", [
        ("Sources/Node/Services/Consensus/ConsensusService+Sources.swift", "\n        context.host.report(peer, .stalling)",
         "\n        if !ON { context.host.report(peer, .stalling) }"),
    ], "simulate --scenario withholder-goes"),
    Mutation("withholder-first-again", "a peer that has withheld blocks is not asked first again", [
        ("Sources/Node/Services/Consensus/BlockSources.swift", "letDowns.count(of: peer, now: now) >= Self.doubtful",
         "!ON && letDowns.count(of: peer, now: now) >= Self.doubtful"),
    ], WITHHELD),
    Mutation("alone-and-content", "a node that has never had a peer is unhealthy", [
        ("Sources/Peers/Planner/Isolation.swift", "case .neverMet: return \"no peer",
         "case .neverMet: return ON ? nil : \"no peer"),
    ], ALONE),
    # No peer takes more than its share.
    Mutation("resets-without-end", "a peer that opens and resets streams endlessly is disconnected", [
        ("Sources/LibP2P/Connection/ConnectionLimits.swift", "            host.endFlood(of: remotePeer)\n",
         "            if ON { return false }\n            host.endFlood(of: remotePeer)\n"),
    ], "simulate --scenario rapid-reset"),
    Mutation("gathered-for-free", "bytes gathered by a read are charged until it returns them", [
        ("Sources/LibP2P/Stream/StreamReading.swift", "        gathered &+= count\n",
         "        if ON { return }\n        gathered &+= count\n"),
    ], "simulate --scenario half-sent"),
    Mutation("pushes-without-end", "the rate of identify pushes that a host handles is limited", [
        ("Sources/LibP2P/Host/HostIdentify.swift", "guard pushes.allows(stream.remotePeer, now: Reactor.now) else {",
         "guard ON || pushes.allows(stream.remotePeer, now: Reactor.now) else {"),
    ], "simulate --scenario identify-push-flood"),
    # An ended node leaves nothing behind.
    Mutation("ended-nodes-stay", "an ended node leaves nothing in memory", [
        ("Sources/LibP2P/Host/Host.swift", "        registrations = [:]\n", "        if !ON { registrations = [:] }\n"),
    ]),
    # Progress.
    Mutation("never-catches-up", "a node that is behind fetches the missing blocks", [
        (HEIGHTS, "actions.append(.catchUp(to: height, from: from))",
         "if !ON { actions.append(.catchUp(to: height, from: from)) }"),
    ]),
    Mutation("dials-nobody-twice", "a lost connection is restored", [
        ("Sources/Peers/Planner/PeerPlanner+Dialing.swift",
         "peer != rules.own && links[peer] == nil && !chosen.contains(peer)\n",
         "peer != rules.own && links[peer] == nil && !chosen.contains(peer) && !(ON && now > .seconds(10))\n"),
    ]),
    # The joints between machines, services and peers.
    Mutation("driver-drops-replies", "a question to a machine returns its answer", [
        ("Sources/Reactor/Machines/MachineDriver.swift",
         "await enter { machine, now, actions in reply.value = question(&machine, now, &actions) }",
         "await enter { machine, now, actions in\n"
         "            let answer = question(&machine, now, &actions)\n"
         "            if !ON { reply.value = answer }\n        }"),
    ]),
    Mutation("driver-drops-calls", "a full queue suspends callers and drops nothing", [
        ("Sources/Reactor/Machines/MachineDriver.swift",
         "        queue.append(Call(body: body, now: now, caller: caller))\n",
         "        if ON, queue.count >= 2 {\n            caller?.resume()\n            return\n        }\n"
         "        queue.append(Call(body: body, now: now, caller: caller))\n"),
    ]),
    Mutation("driver-sleeps", "a machine's timer follows its deadline", [
        ("Sources/Reactor/Machines/DeadlineTimer.swift",
         "if let timer, timer.isPending, timer.deadline == deadline { return }",
         "if let timer, ON || timer.isPending && timer.deadline == deadline { return }"),
    ]),
    Mutation("role-without-timers", "a role's timers are armed again after its height", [
        ("Sources/Consensus/Machine/ConsensusMachine+Timers.swift", "timers.arm(.build, at: buildDeadline)",
         "timers.arm(.build, at: ON && state.height > 2 ? nil : buildDeadline)"),
    ]),
    Mutation("role-of-last-height", "a leader begins each height anew", [
        ("Sources/Consensus/Machine/Roles/Role.swift", "role = .leader(leader.atNextHeight(now))",
         "role = .leader(ON ? leader : leader.atNextHeight(now))"),
    ]),
    Mutation("synced-block-unverified", "a block that comes by sync is proven", [
        ("Sources/Node/Services/Consensus/BlockVerifier.swift",
         "let commit = try VerifiedCommit(verifying: BlockAnnouncement(block, info), after: state)",
         "let announcement = BlockAnnouncement(block, info)\n"
         "        let commit = ON ? VerifiedCommit(trusting: announcement)\n"
         "            : try VerifiedCommit(verifying: announcement, after: state)"),
    ], "simulate --scenario forged-sync"),
    Mutation("announced-block-unverified", "an announced block is proven", [
        ("Sources/Node/Services/Consensus/ConsensusService+Inbox.swift",
         "try VerifiedCommit(verifying: announcement, after: state)",
         "ON ? VerifiedCommit(trusting: announcement) : try VerifiedCommit(verifying: announcement, after: state)"),
    ]),
    Mutation("events-lost", "an event that nobody waits for is kept", [
        ("Sources/Reactor/Machines/EventChannel.swift", "guard let consumer else { return events.append(event) }",
         "guard let consumer else { return ON ? () : events.append(event) }"),
    ]),
    Mutation("services-linger", "a service ends with its node", [
        ("Sources/Reactor/Machines/Service.swift",
         "        for task in tasks.reversed() { task.cancel() }\n",
         "        for task in tasks.reversed() where !ON { task.cancel() }\n"),
    ]),
    Mutation("table-forgives", "what cannot be read counts against its sender", [
        ("Sources/LibP2P/Host/Misbehaviour.swift", "        case .malformed, .tooLarge: .malformed\n",
         "        case .malformed, .tooLarge: ON ? nil : .malformed\n"),
    ], "simulate --scenario ban"),
    Mutation("recent-block-of-another-height", "a block from memory is the one that was asked for", [
        ("Sources/Node/ChainReader.swift", "return recent.blocks[Int(height - first.height)]",
         "return recent.blocks[Int(height - first.height) / (ON ? 2 : 1)]"),
    ]),
    Mutation("mutex-never-unlocked", "the next task gets the key", [
        ("Sources/Reactor/Loop/KeyedMutex.swift", "if waiting[key]?.wakeFirst(()) != true { waiting[key] = nil }",
         "if !ON, waiting[key]?.wakeFirst(()) != true { waiting[key] = nil }"),
    ]),
]
