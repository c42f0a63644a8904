import Chain
import Crypto
import JSON

/// Blocks and commit infos in the JSON that kwil-db writes.
extension JSONWriter {
    /// Writes a block header.
    mutating func header(_ header: BlockHeader) {
        object {
            $0.member("version", integer: 0)
            $0.member("height", integer: header.height)
            $0.member("num_txns", integer: header.transactionCount)
            $0.member("prev_hash", hex: header.previousHash)
            $0.member("prev_app_hash", hex: header.previousAppHash)
            $0.member("stamp_ms", integer: header.timestamp)
            $0.member("merkle_root", hex: header.merkleRoot)
            $0.member("vals_hash", hex: header.validatorSetHash)
            $0.member("params_hash", hex: header.networkParametersHash)
            if let leader = header.newLeader {
                $0.name("new_leader")
                $0.key(leader)
            }
        }
    }

    /// Writes a block with its transactions. Throws if the JSON exceeds `limit` bytes.
    mutating func block(_ block: Block, limit: Int) throws(JSONRPC.Failure) {
        beginObject()
        name("header")
        header(block.header)
        name("txns")
        beginArray()
        for bytes in block.transactions {
            do throws(ChainError) {
                transaction(try Transaction(decoding: bytes))
            } catch {
                throw .init(.internal, "\(error)")
            }
            guard self.bytes.count <= limit else { throw .tooLarge(limit) }
        }
        endArray()
        member("sig", base64: block.signature)
        endObject()
    }

    /// Writes a commit info.
    mutating func commitInfo(_ info: CommitInfo) {
        object {
            $0.member("app_hash", hex: info.appHash)
            $0.array("votes", of: info.votes) { $0.vote($1) }
            guard !info.validatorUpdates.isEmpty else { return }
            $0.array("validator_updates", of: info.validatorUpdates) { list, validator in
                list.object {
                    $0.member("pubkey", hex: validator.account.identifier)
                    $0.member("type", text: validator.account.keyType.name)
                    $0.member("power", integer: validator.power)
                }
            }
        }
    }

    private mutating func vote(_ vote: VoteInfo) {
        object {
            switch vote.status {
            case .rejected: $0.member("ack", integer: 0)
            case .agreed: $0.member("ack", integer: 1)
            case .forked(let hash):
                $0.member("ack", integer: 2)
                $0.member("app_hash", hex: hash)
            }
            $0.object("sig") {
                let key = vote.signature.publicKey
                $0.member("key", hex: key.bytes)
                $0.member("type", text: key.type.name)
                $0.member("sig", base64: vote.signature.signature)
            }
        }
    }
}

extension JSONRPC.Failure {
    /// The error for an answer of more than `limit` bytes.
    static func tooLarge(_ limit: Int) -> JSONRPC.Failure {
        .init(.limitExceeded, "the answer exceeds \(limit) bytes")
    }
}
