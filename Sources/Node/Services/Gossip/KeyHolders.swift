import Collections
import LibP2P
import Multiformats
import Protocols

/// The processes that have used each key, to detect a key with two hosts (docs/consensus.md, "Two hosts with one key").
/// A machine.
///
/// A process ends before its node's next one starts, so the first never returns after the second, and two that name
/// each other ran at the same time. The key proves both: a process's statement on its own connection, and signed
/// statements that others relay. Anyone may keep and replay an old statement, so one alone proves nothing.
struct KeyHolders {
    /// The maximum number of processes remembered per key: those with the highest sequence numbers, which begin with
    /// the time of the start.
    static let capacity = ProcessStatement.mostHeard
    /// The maximum number of peers whose processes are remembered. Strangers are forgotten with their connections.
    static let peers = 1_024

    /// The meaning of the process ID that a peer sends on its connection.
    enum Meeting {
        /// The same process as before, or the first one known.
        case same
        /// A new process: the node was restarted, or another host has its key.
        case next
        /// A process that another had replaced: both are running.
        case back
    }

    private struct Holder {
        let statement: ProcessStatement
        let message: GossipMessage
    }

    private var holders: OrderedDictionary<PeerID, [Holder]> = [:]
    /// The process IDs that each peer has sent on its connections, the current one last.
    private var met: OrderedDictionary<PeerID, [ProcessID]> = [:]

    // MARK: Connections

    /// Notes the process ID that a peer sent on its connection.
    mutating func met(_ peer: PeerID, as process: ProcessID) -> Meeting {
        guard var processes = met[peer] else {
            if met.count >= Self.peers { met.removeFirst() }
            met[peer] = [process]
            return .same
        }
        guard processes.last != process else { return .same }
        let wasThere = processes.contains(process)
        processes.removeAll { $0 == process }
        processes.append(process)
        met[peer] = processes.suffix(Self.capacity)
        return wasThere ? .back : .next
    }

    /// Returns the process ID that a peer sent last, if any.
    func process(of peer: PeerID) -> ProcessID? { met[peer]?.last }

    /// Forgets the process IDs that a peer sent on its connections.
    mutating func left(_ peer: PeerID) { met[peer] = nil }

    // MARK: Statements

    /// Returns whether a statement is newer than the known ones. Replayed statements are not, nor are those of
    /// processes older than the ones remembered.
    func isNews(_ statement: ProcessStatement, in message: GossipMessage) -> Bool {
        guard let known = holders[message.author] else { return true }
        if let same = known.first(where: { $0.statement.process == statement.process }) {
            return message.sequence > same.message.sequence
        }
        return known.count < Self.capacity || known.contains { $0.message.sequence < message.sequence }
    }

    /// Remembers a statement whose signature is valid. Returns whether it was news.
    mutating func note(_ statement: ProcessStatement, in message: GossipMessage) -> Bool {
        guard isNews(statement, in: message) else { return false }
        var known = holders[message.author] ?? []
        known.removeAll { $0.statement.process == statement.process }
        known.append(Holder(statement: statement, message: message.copy))
        known.sort { $0.message.sequence > $1.message.sequence }
        holders[message.author] = Array(known.prefix(Self.capacity))
        return true
    }

    /// Returns whether two processes of a key name each other.
    func isShared(_ author: PeerID) -> Bool {
        let known = holders[author] ?? []
        return known.contains { one in
            known.contains { other in
                one.statement.process != other.statement.process
                    && one.statement.heard.contains(other.statement.process)
                    && other.statement.heard.contains(one.statement.process)
            }
        }
    }

    /// Returns the processes that have published under an author's key, newest first.
    func processes(of author: PeerID) -> [ProcessID] { (holders[author] ?? []).map(\.statement.process) }

    /// Returns the latest statements of an author's processes, except one process.
    func messages(of author: PeerID, except process: ProcessID?) -> [GossipMessage] {
        (holders[author] ?? []).filter { $0.statement.process != process }.map(\.message)
    }

    /// Forgets the statements of the authors for which `isKept` returns false.
    mutating func keep(_ isKept: (PeerID) -> Bool) { holders.removeAll { !isKept($0.key) } }
}
