import Collections
import LibP2P
import Multiformats
import Protocols

/// The processes that speak with each key, so that a key with two of them is known. A machine.
///
/// A process ends before the next one of its node starts, so nobody hears the first again after the second. Two that name
/// each other have run at the same time. Both are proven by the key: what a process says of itself on its connections, and
/// what it has signed for others to pass on. Old statements come from whoever kept them, so one alone proves nothing.
struct KeyHolders {
    /// Processes of one key that are remembered; those with the highest numbers, which begin with the time of the start.
    static let capacity = ProcessStatement.mostHeard
    /// Peers whose processes are remembered. Strangers are forgotten with their connections.
    static let peers = 1_024

    /// What a peer's word on its connection means.
    enum Meeting {
        /// The process that it was before, or the first one known.
        case same
        /// A process not met before: the node was started anew, or another host has its key.
        case next
        /// One that another took the place of: both run.
        case back
    }

    private struct Holder {
        let statement: ProcessStatement
        let message: GossipMessage
    }

    private var holders: OrderedDictionary<PeerID, [Holder]> = [:]
    /// What processes each peer has been on its connections, the present one last.
    private var met: OrderedDictionary<PeerID, [ProcessID]> = [:]

    // MARK: Connections

    /// A peer says on its connection which process it is.
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

    /// The process that a peer is on its newest connection, as far as known.
    func process(of peer: PeerID) -> ProcessID? { met[peer]?.last }

    /// Forgets what a peer was on its connections.
    mutating func left(_ peer: PeerID) { met[peer] = nil }

    // MARK: Statements

    /// Whether a statement says more than is known. A replayed one does not, nor does one of a process that is older than
    /// the latest few.
    func isNews(_ statement: ProcessStatement, in message: GossipMessage) -> Bool {
        guard let known = holders[message.author] else { return true }
        if let same = known.first(where: { $0.statement.process == statement.process }) {
            return message.sequence > same.message.sequence
        }
        return known.count < Self.capacity || known.contains { $0.message.sequence < message.sequence }
    }

    /// Remembers a statement whose signature holds. Returns whether it was news.
    mutating func note(_ statement: ProcessStatement, in message: GossipMessage) -> Bool {
        guard isNews(statement, in: message) else { return false }
        var known = holders[message.author] ?? []
        known.removeAll { $0.statement.process == statement.process }
        known.append(Holder(statement: statement, message: message.copy))
        known.sort { $0.message.sequence > $1.message.sequence }
        holders[message.author] = Array(known.prefix(Self.capacity))
        return true
    }

    /// Whether two processes of a key name each other.
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

    /// The processes that have spoken in an author's name, the newest first.
    func processes(of author: PeerID) -> [ProcessID] { (holders[author] ?? []).map(\.statement.process) }

    /// The newest statements of an author's processes but one.
    func messages(of author: PeerID, except process: ProcessID?) -> [GossipMessage] {
        (holders[author] ?? []).filter { $0.statement.process != process }.map(\.message)
    }

    /// Forgets the statements of all authors but these.
    mutating func keep(_ isKept: (PeerID) -> Bool) { holders.removeAll { !isKept($0.key) } }
}
