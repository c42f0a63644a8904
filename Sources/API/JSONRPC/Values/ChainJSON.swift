import Bytes
import Chain
import Crypto
import Execution
import JSON
import Multiformats
import Node

/// Genesis, parameters, validators and unconfirmed transactions, named as in Kwil's OpenRPC documents and kwil-db.
extension JSONWriter {
    /// Writes `chain.validators`: the latest committed height, and the validators that vote on the next block.
    mutating func validators(_ network: NetworkState) {
        object {
            $0.member("height", integer: network.height)
            $0.name("validators")
            $0.validators(network.validators)
        }
    }

    private mutating func validators(_ validators: ValidatorSet) {
        array { list in
            for validator in validators {
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
    }

    /// Writes `chain.consensus_params`.
    mutating func parameters(_ parameters: NetworkParameters) {
        object {
            $0.limits(parameters)
            if parameters.maaActivationHeight != 0 {
                $0.member("maa_activation_height", integer: parameters.maaActivationHeight)
            }
        }
    }

    private mutating func limits(_ parameters: NetworkParameters) {
        if let leader = parameters.leader {
            name("leader")
            key(leader)
        }
        member("max_block_size", integer: parameters.maxBlockSize)
        // In kwil-db's notation: `168h`.
        member("join_expiry", text: DurationText.format(nanoseconds: parameters.joinExpiry))
        member("disabled_gas_costs", flag: parameters.disabledGasCosts)
        member("max_votes_per_tx", integer: parameters.maxVotesPerTransaction)
    }

    /// Writes `chain.genesis`.
    mutating func genesis(_ genesis: Genesis) {
        object {
            $0.member("chain_id", text: genesis.chainID)
            $0.member("initial_height", integer: genesis.initialHeight)
            $0.member("db_owner", text: genesis.databaseOwner)
            $0.name("validators")
            $0.validators(genesis.validators)
            if !genesis.allocations.isEmpty {
                $0.array("alloc") { list in
                    for allocation in genesis.allocations {
                        list.object {
                            $0.member("id", hex: allocation.account.identifier)
                            $0.member("key_type", text: allocation.account.keyType.name)
                            $0.member("amount", text: allocation.amount.description)
                        }
                    }
                }
            }
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
            $0.array("txs") { list in
                for transaction in transactions {
                    list.object {
                        $0.member("hash", hex: transaction.id)
                        $0.name("tx")
                        $0.transaction(transaction)
                    }
                }
            }
        }
    }
}
