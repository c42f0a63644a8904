import Crypto
import LibP2P
import Multiformats
import Protocols
import TestSupport
import Testing

@testable import Node

struct KeyHoldersTests {
    let key: PrivateKey
    var peer: PeerID { key.publicKey.peerID }

    init() throws { key = try TestChain.key(7) }

    private func process(_ number: Int) -> ProcessID { ProcessID(0, UInt64(number)) }

    /// Notes a process's statement that it has heard others.
    @discardableResult
    private func say(_ number: Int, heard: [Int] = [], at sequence: UInt64, to holders: inout KeyHolders)
        -> Bool
    {
        let statement = ProcessStatement(process(number), heard: heard.map(process))
        let message = GossipMessage(
            topic: GossipTopic.processes, data: statement.bytes, sequence: sequence, author: key)
        return holders.note(statement, in: message)
    }

    @Test func aProcessThatComesBackAfterAnotherRunsBesideIt() {
        var holders = KeyHolders()
        for (number, meeting) in [
            (1, KeyHolders.Meeting.same), (1, .same), (2, .next), (2, .same), (3, .next), (2, .back),
            (1, .back),
        ] {
            #expect(holders.met(peer, as: process(number)) == meeting)
        }
        #expect(holders.process(of: peer) == process(1))
        holders.left(peer)
        #expect(holders.met(peer, as: process(2)) == .same)
    }

    @Test func twoProcessesThatNameEachOtherRunAtOnce() {
        var holders = KeyHolders()
        say(1, at: 100, to: &holders)
        say(2, heard: [1], at: 200, to: &holders)
        #expect(!holders.isShared(peer))
        say(1, heard: [2], at: 101, to: &holders)
        #expect(holders.isShared(peer))
        #expect(holders.messages(of: peer, except: process(2)).map(\.sequence) == [101])
        holders.keep { _ in false }
        #expect(!holders.isShared(peer) && holders.processes(of: peer).isEmpty)
    }

    /// A node that was restarted many times, where each process has heard the earlier ones.
    @Test func restartsAreNoSharedKey() {
        var holders = KeyHolders()
        for life in 1...20 {
            say(life, at: UInt64(life) * 100, to: &holders)
            say(life, heard: Array((1..<life).suffix(4)), at: UInt64(life) * 100 + 1, to: &holders)
            #expect(!holders.isShared(peer))
            #expect(holders.met(peer, as: process(life)) != .back)
        }
        #expect(holders.processes(of: peer) == [20, 19, 18, 17].map(process))
    }

    /// Replayed statements.
    @Test func replayedStatementsAreNoNewsAndDisplaceNothing() {
        var holders = KeyHolders()
        for life in 1...4 { say(life, at: UInt64(life) * 100, to: &holders) }
        say(9, at: 900, to: &holders)
        for life in 1...4 {
            let isNews = say(life, at: UInt64(life) * 100, to: &holders)
            #expect(!isNews)
        }
        #expect(holders.processes(of: peer) == [9, 4, 3, 2].map(process))
    }
}
