import Crypto
import Multiformats
import Reactor
import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import LibP2P

@Suite struct PeerStoreTests {
    private static func peer(_ number: UInt8) throws -> PeerID {
        try PeerID(publicKeyProtobuf: [UInt8](repeating: number, count: 36))
    }

    private static func address(_ port: Int) throws -> Multiaddr {
        try Multiaddr("/ip4/10.0.0.1/tcp/\(port)")
    }

    /// The path of a store's file in a directory.
    private static func path(_ directory: TemporaryDirectory) -> String { "\(directory.path)/addrbook.json" }

    /// A clock that stands still at the time set.
    private final class Clock: Sendable {
        let time = Mutex<Int64>(1_000)
        var read: @Sendable () -> Int64 { { self.time.withLock { $0 } } }
        func set(_ value: Int64) { time.withLock { $0 = value } }
    }

    @Test func addressesThatAnswerComeFirst() throws {
        let clock = Clock()
        try MemoryNetwork.run {
            let store = PeerStore(clock: clock.read)
            let peer = try Self.peer(1)
            let (a, b, c) = (try Self.address(1), try Self.address(2), try Self.address(3))
            store.add([a, b, c.appending(.p2p(peer)), a], for: peer)
            #expect(store.addresses(of: peer) == [a, b, c])
            store.noteDialFailed(peer, at: a)
            store.noteDialed(peer, at: c.appending(.p2p(peer)))
            #expect(store.addresses(of: peer) == [c, b, a])
            clock.set(2_000)
            store.noteDialed(peer, at: a)
            #expect(store.addresses(of: peer) == [a, c, b])
            #expect(store.record(of: peer)?.lastSeen == 2_000)
        }
    }

    @Test func addressesOfAPeerAreBounded() throws {
        try MemoryNetwork.run {
            let store = PeerStore()
            let peer = try Self.peer(1)
            let all = try (1...20).map { try Self.address($0) }
            store.add(all, for: peer)
            #expect(store.addresses(of: peer).count == PeerStore.maximumAddresses)
            #expect(!store.addresses(of: peer).contains(all[19]))
            // An address that fails makes room.
            store.noteDialFailed(peer, at: all[4])
            store.add([all[19]], for: peer)
            #expect(store.addresses(of: peer).contains(all[19]))
            #expect(!store.addresses(of: peer).contains(all[4]))
        }
    }

    @Test func peersAreBoundedAndTheLeastUsefulGoes() throws {
        let clock = Clock()
        try MemoryNetwork.run {
            let store = PeerStore(clock: clock.read)
            func id(_ number: Int) throws -> PeerID {
                try PeerID(
                    publicKeyProtobuf: [UInt8(number >> 8), UInt8(number & 0xff)]
                        + [UInt8](repeating: 0, count: 34))
            }
            for number in 0..<PeerStore.maximumPeers {
                store.add([try Self.address(1)], for: try id(number))
                if number != 7 { store.noteSeen(try id(number)) }
            }
            store.add([try Self.address(1)], for: try id(5_000))
            #expect(store.peers.count == PeerStore.maximumPeers)
            #expect(store.record(of: try id(7)) == nil)
            #expect(store.record(of: try id(5_000)) != nil)
        }
    }

    @Test func theFileBringsEverythingBack() throws {
        let directory = try TemporaryDirectory()
        let path = Self.path(directory)
        let clock = Clock()
        let before = try MemoryNetwork.run {
            let worker = Worker(name: "test", capacity: 4)
            let store = try PeerStore(path: path, worker: worker, clock: clock.read)
            #expect(store.peers == [])
            for number: UInt8 in 1...5 {
                let peer = try Self.peer(number)
                store.add(
                    [try Self.address(Int(number)), try Multiaddr("/dns4/example.org/tcp/6600")], for: peer)
                store.setProtocols([.ping, .identify], of: peer)
                clock.set(Int64(number) * 10)
                store.noteDialed(peer, at: try Self.address(Int(number)))
                store.noteDialFailed(peer, at: try Multiaddr("/dns4/example.org/tcp/6600"))
            }
            try await store.save()
            return store.peers.map { store.record(of: $0) }
        }
        #expect(before.count == 5 && before.first??.lastSeen == 50)
        let after = try MemoryNetwork.run {
            let store = try PeerStore(path: path, worker: Worker(name: "test", capacity: 4))
            return store.peers.map { store.record(of: $0) }
        }
        #expect(after == before)
        #expect(!TestFile.exists(path + ".new"))
    }

    @Test func changesAreWrittenAfterAWhile() throws {
        let directory = try TemporaryDirectory()
        let path = Self.path(directory)
        try MemoryNetwork.run {
            let store = try PeerStore(path: path, worker: Worker(name: "test", capacity: 4))
            store.noteSeen(try Self.peer(1))
            #expect(!TestFile.exists(path))
            try await Reactor.sleep(for: PeerStore.saveDelay + .seconds(1))
            #expect(TestFile.exists(path))
        }
    }

    @Test func aFailedWriteSaysWhereAndLeavesTheOldFile() throws {
        let directory = try TemporaryDirectory()
        let folder = "\(directory.path)/absent"
        try MemoryNetwork.run {
            let store = try PeerStore(
                path: folder + "/addrbook.json", worker: Worker(name: "test", capacity: 4))
            store.noteSeen(try Self.peer(1))
            await #expect {
                try await store.save()
            } throws: { error in
                guard case LibP2PError.file(let path, _) = error else { return false }
                return path.hasPrefix(folder)
            }
        }
    }

    @Test(arguments: [
        ("", "not JSON: expected a value, found the end (line 1, column 1)"),
        (
            "{\"version\":1,\"peers\":[",
            "not JSON: expected a value or \"]\", found the end (line 1, column 23)"
        ),
        ("[]", "must be an object"),
        ("{\"version\":1}", "peers: is missing"),
        ("{\"version\":2,\"peers\":[]}", "version: 2 is not known"),
        ("{\"version\":1,\"version\":1,\"peers\":[]}", "duplicate key \"version\" (line 1, column 14)"),
        ("{\"version\":1,\"peers\":[{\"id\":\"x\"}]}", "peers[0].addresses: is missing"),
    ]) func aCorruptFileIsNamed(_ content: String, _ reason: String) throws {
        let directory = try TemporaryDirectory()
        let path = Self.path(directory)
        try TestFile.write(content, to: path)
        #expect(throws: LibP2PError.corruptFile(path: path, reason: reason)) {
            try PeerStore(path: path, worker: Worker(name: "test", capacity: 4))
        }
    }

    @Test func entriesThatMakeNoSenseAreLeftOut() throws {
        let directory = try TemporaryDirectory()
        let path = Self.path(directory)
        let peer = try Self.peer(7)
        let content = """
            {"version":1,"peers":[
            {"id":"x","addresses":[],"protocols":[],"last_seen":1},
            {"id":"\(peer)","addresses":[{"address":"nowhere","failures":0,"last_connected":0},
            {"address":"/ip4/10.0.0.1/tcp/1","failures":-9223372036854775808,"last_connected":-1},
            {"address":"/ip4/10.0.0.1/tcp/1","failures":3,"last_connected":0}],"protocols":[],"last_seen":-5}]}
            """
        try TestFile.write(content, to: path)
        try MemoryNetwork.run {
            let store = try PeerStore(path: path, worker: Worker(name: "test", capacity: 4))
            #expect(store.peers == [peer])
            #expect(store.addresses(of: peer) == [try Self.address(1)])
            #expect(store.record(of: peer)?.addresses.first?.failures == 0)
        }
    }

    @Test func aDamagedFileIsPutAside() throws {
        let directory = try TemporaryDirectory()
        let path = Self.path(directory)
        try TestFile.write("garbage", to: path)
        try MemoryNetwork.run {
            let store = try PeerStore.recovering(path: path, worker: Worker(name: "test", capacity: 4))
            #expect(store.peers.isEmpty)
            store.add([try Self.address(1)], for: try Self.peer(1))
            try await store.close()
            store.add([try Self.address(2)], for: try Self.peer(2))
            try await Reactor.sleep(for: PeerStore.saveDelay * 2)
            let again = try PeerStore.recovering(path: path, worker: Worker(name: "test", capacity: 4))
            #expect(again.peers == [try Self.peer(1)], "what came after the end is not kept")
        }
        #expect(try TestFile.text(path + ".damaged") == "garbage")
    }

    @Test func hearsayGivesWayToWhatIsKnown() throws {
        try MemoryNetwork.run {
            let store = PeerStore(clock: { 1 })
            let (peer, teller) = (try Self.peer(1), try Self.peer(2))
            store.add(try (1...40).map(Self.address), for: peer, toldBy: teller)
            #expect(store.addresses(of: peer).count == PeerStore.maximumHearsay)
            // Addresses that the peer names itself come first, and may take all places.
            store.add(try (100...115).map(Self.address), for: peer)
            #expect(store.addresses(of: peer) == (try (100...115).map(Self.address)))
            store.add([try Self.address(1)], for: peer, toldBy: teller)
            #expect(!store.addresses(of: peer).contains(try Self.address(1)))
        }
    }

    @Test func oneTellerCannotFillTheStore() throws {
        try MemoryNetwork.run {
            let store = PeerStore(clock: { 1 })
            func id(_ number: Int) throws -> PeerID {
                try PeerID(publicKeyProtobuf: [UInt8(number >> 8), UInt8(number & 255)])
            }
            let (liar, honest) = (try Self.peer(1), try Self.peer(2))
            let known = try id(60_000)
            store.noteDialed(known, at: try Self.address(1))
            store.add([try Self.address(2)], for: try id(60_001), toldBy: honest)
            for number in 0..<1_000 { store.add([try Self.address(3)], for: try id(number), toldBy: liar) }
            #expect(store.peers.count == 2 + PeerStore.maximumPerTeller)
            // The peers of many tellers replace each other, but no peer that has answered.
            for number in 0..<(PeerStore.maximumPeers + 100) {
                let teller = try Self.peer(UInt8(10 + number % 200))
                store.add([try Self.address(4)], for: try id(20_000 + number), toldBy: teller)
            }
            #expect(store.peers.count == PeerStore.maximumPeers)
            #expect(store.record(of: known)?.isVerified == true)
        }
    }

    @Test func aFolderIsNotAnAddressBook() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        #expect(throws: LibP2PError.file(path: path, reason: "not a regular file")) {
            try PeerStore(path: path, worker: Worker(name: "test", capacity: 4))
        }
    }
}
