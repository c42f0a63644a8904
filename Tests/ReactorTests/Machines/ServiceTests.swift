import Testing

@testable import Reactor

/// Services and the events between them.
@Suite struct ServiceTests {
    @ReactorActor
    private final class Recorder {
        var lines: [String] = []
    }

    @ReactorActor
    private final class Named: Service {
        let name: String
        let recorder: Recorder
        let end = ServiceEnd()
        var startError: ReactorError?

        init(_ name: String, _ recorder: Recorder) {
            self.name = name
            self.recorder = recorder
        }

        func run() async throws {
            if let startError { throw startError }
            recorder.lines.append("\(name) begins")
            defer { recorder.lines.append("\(name) ends") }
            try await end.wait()
            try? await Reactor.sleep(for: .milliseconds(1))
        }
    }

    @Test func servicesStartInOrderAndStopInReverse() async throws {
        try await Reactor.run {
            let (recorder, group) = (Recorder(), ServiceGroup())
            try await group.start(["a", "b", "c"].map { Named($0, recorder) })
            #expect(recorder.lines == ["a begins", "b begins", "c begins"])
            await group.stop()
            #expect(recorder.lines.suffix(3) == ["c ends", "b ends", "a ends"])
        }
    }

    @Test func aServiceThatCannotBeginThrowsFromStart() async throws {
        try await Reactor.run {
            let (recorder, group) = (Recorder(), ServiceGroup())
            let service = Named("a", recorder)
            service.startError = .closed
            await #expect(throws: ReactorError.closed) {
                try await group.start([Named("b", recorder), service])
            }
            await group.stop()
            #expect(recorder.lines == ["b begins", "b ends"])
        }
    }

    @Test func aServiceThatFailsIsReported() async throws {
        try await Reactor.run {
            let (recorder, group) = (Recorder(), ServiceGroup())
            let service = Named("a", recorder)
            try await group.start([service])
            service.end.fail(ReactorError.closed)
            #expect(await group.failures.next() as? ReactorError == .closed)
            await group.stop()
            #expect(await group.failures.next() == nil)
        }
    }

    @Test func abandonedServicesEndWithoutBeingAwaited() async throws {
        try await Reactor.run {
            let (recorder, group) = (Recorder(), ServiceGroup())
            try await group.start(["a", "b"].map { Named($0, recorder) })
            group.abandon()
            try await Reactor.sleep(for: .milliseconds(20))
            #expect(Set(recorder.lines.suffix(2)) == ["a ends", "b ends"])
        }
    }

    @Test func eventsArriveInOrderAndNoneAfterTheEnd() async throws {
        try await Reactor.run {
            let channel = EventChannel<Int>()
            channel.send(1)
            channel.send(2)
            #expect(await channel.next() == 1)
            #expect(await channel.next() == 2)
            Reactor.spawn {
                channel.send(3)
                channel.send(4)
            }
            #expect(await channel.next() == 3)
            channel.finish()
            channel.send(5)
            #expect(await channel.next() == nil)
        }
    }
}
