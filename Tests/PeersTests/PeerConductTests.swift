import LibP2P
import Multiformats
import Testing

@testable import Peers

@Suite struct PeerConductTests {
    private static func peer(_ number: Int) -> PeerID { PeerScript.peer(number) }

    @Test func pointsAreForgivenInTime() {
        var conduct = PeerConduct()
        func report(_ what: Misbehaviour, at second: Int) -> PeerConduct.Verdict {
            conduct.report(Self.peer(1), what, isTrusted: false, ip: nil, now: .seconds(second))
        }
        #expect(report(.wrongContent, at: 0) == .tolerated)
        #expect(conduct.points(of: Self.peer(1), now: .zero) == 40)
        #expect(conduct.points(of: Self.peer(1), now: .seconds(60)) == 30)
        #expect(conduct.points(of: Self.peer(1), now: .seconds(240)) == 0)
        // Forty points every five minutes expire in between; every minute they add up.
        for minute in 1...20 { #expect(report(.wrongContent, at: minute * 300) == .tolerated) }
        var verdicts: [PeerConduct.Verdict] = []
        for minute in 0..<4 { verdicts.append(report(.wrongContent, at: 10_000 + minute * 60)) }
        #expect(verdicts == [.tolerated, .disconnected, .banned(PeerConduct.firstBan), .tolerated])
    }

    @Test func bansGrowAndTheirMemoryFades() {
        var conduct = PeerConduct()
        var now = Duration.zero
        var lengths: [Duration] = []
        for _ in 0..<8 {
            guard
                case .banned(let length) = conduct.report(
                    Self.peer(1), .lie, isTrusted: false, ip: nil, now: now)
            else { break }
            lengths.append(length)
            #expect(conduct.isBanned(Self.peer(1), now: now + length - .seconds(1)))
            now += length
            #expect(!conduct.isBanned(Self.peer(1), now: now))
        }
        let day = Duration.seconds(86_400)
        #expect(lengths == [120, 480, 1_920, 7_680, 30_720].map { .seconds($0) } + [day, day, day])
        now += PeerConduct.memory
        #expect(
            conduct.report(Self.peer(1), .lie, isTrusted: false, ip: nil, now: now)
                == .banned(PeerConduct.firstBan))
    }

    @Test func addressesAreBannedForAnHourAtMost() throws {
        var conduct = PeerConduct()
        let (ip, loopback) = (try #require(IP("20.0.0.1")), try #require(IP("127.0.0.1")))
        let trusted = try #require(IP("20.0.0.3"))
        var now = Duration.zero
        for _ in 0..<4 {
            _ = conduct.report(Self.peer(1), .lie, isTrusted: false, ip: ip, now: now)
            #expect(conduct.isBanned(ip, now: now))
            now += .seconds(8_000)
        }
        _ = conduct.report(Self.peer(1), .lie, isTrusted: false, ip: ip, now: now)
        #expect(!conduct.isBanned(ip, now: now + PeerConduct.longestAddressBan))
        _ = conduct.report(Self.peer(2), .lie, isTrusted: false, ip: loopback, now: now)
        #expect(!conduct.isBanned(loopback, now: now))
        #expect(
            conduct.report(Self.peer(3), .lie, isTrusted: true, ip: trusted, now: now)
                == .banned(PeerConduct.trustedBan))
        #expect(!conduct.isBanned(trusted, now: now))
    }

    @Test func tablesAreBounded() throws {
        var conduct = PeerConduct()
        let count = 2 * PeerConduct.capacity + 100
        for number in 0..<count {
            let what: Misbehaviour = number % 2 == 0 ? .malformed : .lie
            let ip = IP("20.1.\(number >> 8).\(number & 255)")
            _ = conduct.report(Self.peer(number), what, isTrusted: false, ip: ip, now: .milliseconds(number))
        }
        let now = Duration.milliseconds(count)
        let banned = (0..<count).filter { conduct.isBanned(Self.peer($0), now: now) }
        #expect((PeerConduct.capacity * 7 / 8...PeerConduct.capacity).contains(banned.count))
        #expect(banned.last == count - 1, "the newest are kept")
        let noted = (0..<count).count { conduct.points(of: Self.peer($0), now: now) > 0 }
        #expect(noted > PeerConduct.capacity / 2 && noted <= PeerConduct.capacity)
    }
}
