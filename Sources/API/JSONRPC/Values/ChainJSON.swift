import Bytes
import Chain
import Crypto
import Execution
import JSON
import Node

/// Genesis, parameters, validators and unconfirmed transactions, named as in Kwil's OpenRPC documents and kwil-db.
extension JSONWriter {
    /// Writes `chain.validators`: the latest committed height, and the validators that vote on the next block.
    mutating func validators(_ network: NetworkState) {
        object {
            $0.member("height", integer: network.height)
            $0.validators(network.validators)
        }
    }

    private mutating func validators(_ validators: ValidatorSet) {
        array("validators", of: validators) { list, validator in
            list.object {
                let (identifier, type) = (validator.account.identifier, validator.account.keyType.name)
                $0.member("identifier", hex: identifier)
                $0.member("key_type", text: type)
                $0.member("pubkey", hex: identifier)
                $0.member("type", text: type)
                $0.member("power", integer: validator.power)
            }
        }
    }

    /// Writes `chain.consensus_params`.
    mutating func parameters(_ parameters: NetworkParameters) {
        object {
            $0.leader(parameters)
            $0.limits(parameters)
            $0.activationHeight(parameters)
        }
    }

    /// Writes `chain.genesis`.
    mutating func genesis(_ genesis: Genesis) {
        object {
            $0.member("chain_id", text: genesis.chainID)
            $0.member("initial_height", integer: genesis.initialHeight)
            $0.member("db_owner", text: genesis.databaseOwner)
            $0.validators(genesis.validators)
            $0.allocations(genesis)
            $0.leader(genesis.parameters)
            $0.limits(genesis.parameters)
        }
    }

    /// Writes `chain.unconfirmed_txs`.
    ///
    /// - Parameters:
    ///   - total: the number of all unconfirmed transactions, including those that cannot go into the next block.
    ///   - transactions: in the order in which a block would include them.
    mutating func unconfirmed(total: Int, _ transactions: [Transaction]) {
        object {
            $0.member("total", integer: total)
            $0.array("txs", of: transactions) { list, transaction in
                list.object {
                    $0.member("hash", hex: transaction.id)
                    $0.name("tx")
                    $0.transaction(transaction)
                }
            }
        }
    }
}
