import Testing

@testable import apus

struct ProfileTests {
    private static let text = """
        Warning: something that perf says
        apus-reactor 17/23  2254.100343:    cpu-clock:pppH:
        \t         93a9d2 swift_release (/usr/bin/apus)
        \t         427faa $s7Reactor9EventLoopC4turnSbyF (/usr/bin/apus)
        \t          891f5 start_thread (/usr/lib/libc.so.6)

        tokio worker 1 17/24  2254.100400:    cycles:
        \tffffffff821fb643 schedule ([kernel.kallsyms])
        \t           f0ca [unknown] (/usr/lib/libsodium.so.23.3.0)
        \t   93611e76fdd60 [unknown] ([unknown])

        """

    private static func events(_ text: String) -> [PerfEvent] {
        var script = PerfScript(program: "/usr/bin/apus")
        var events = text.utf8.split(separator: 10, omittingEmptySubsequences: false).compactMap {
            script.read(Array($0)[...])
        }
        if let last = script.finish() { events.append(last) }
        return events
    }

    @Test func samplesAreRead() {
        let events = Self.events(Self.text)
        #expect(events.map(\.thread) == ["apus-reactor", "tokio worker 1"])
        #expect(events.map(\.threadID) == [23, 24])
        #expect(events.map(\.time) == [2_254_100_343, 2_254_100_400])
        #expect(events.allSatisfy { $0.kind == .sample(isSwitch: false) })
        #expect(
            events[0].frames == [
                PerfFrame(name: "swift_release", origin: .program),
                PerfFrame(name: "Reactor.EventLoop.turn", origin: .program),
                PerfFrame(name: "start_thread", origin: .library),
            ])
        #expect(
            events[1].frames == [
                PerfFrame(name: "schedule", origin: .kernel),
                PerfFrame(name: "[libsodium.so.23.3.0]", origin: .library),
            ])
    }

    @Test(arguments: [
        "", "\n", "apus 17/23", "apus 17/23 1.5:", "17/23 1.000000: cycles:", "apus 17/x 1.000000: cycles:",
        "apus 17/23 1.00: cycles:", "apus 17/23 99999999999999999999.000000: cycles:",
        "apus 17/23 18446744073709.551616: cycles:", "apus 17/23 1.000000: PERF_RECORD_SWITCH",
        "apus 17/23 1.000000: PERF_RECORD_SWITCH SIDEWAYS", "\t9 a (b)\n",
        "apus 17/23 1.000000: what is this",
    ]) func otherLinesAreSkipped(_ line: String) {
        #expect(Self.events(line).isEmpty)
    }

    @Test(arguments: ["\t", "\t9", "\t9 (", "\t9 )", "\t9 a", "\t9 ()", "\t 9 (x)"])
    func stacksWithOddLinesAreRead(_ line: String) {
        let events = Self.events("apus 1/2 1.000000: cycles:\n\(line)\n\t9 main (/usr/bin/apus)\n\n")
        #expect(events.count == 1)
        #expect(events.first?.frames.last == PerfFrame(name: "main", origin: .program))
    }

    /// A thread sleeps for 2 ms, waits 1 ms for a processor, and is missing at the end.
    @Test func timeOffTheProcessorIsCounted() throws {
        let events = Self.events(
            """
            checks 1/2  5.000000: sched:sched_switch:
            \t 9 __schedule ([kernel.kallsyms])
            \t 9 __x64_sys_futex ([kernel.kallsyms])
            \t 9 wait (/usr/lib/libc.so.6)

            checks 1/2  5.000001: PERF_RECORD_SWITCH OUT
            checks 1/2  5.002000: PERF_RECORD_SWITCH IN
            checks 1/2  5.003000: sched:sched_switch:
            \t 9 hash (/usr/bin/apus)

            checks 1/2  5.003000: PERF_RECORD_SWITCH OUT preempt
            checks 1/2  5.004000: PERF_RECORD_SWITCH IN
            checks 1/2  5.005000: PERF_RECORD_SWITCH OUT
            """)
        var profile = Profile(isOffCPU: true)
        for event in events { profile.add(event) }
        let thread = try #require(profile.threads["checks"])
        #expect(thread.asleep == 2000)
        #expect(thread.ready == 1000)
        #expect(thread.waits == 2)
        #expect(thread.preemptions == 1)
        #expect(
            profile.stacks.folded == """
                checks;asleep;wait;__x64_sys_futex 2000
                checks;ready, without a processor;hash 1000

                """)
    }

    @Test func callsOfAFunctionByItselfAreOne() {
        var tree = StackTree()
        let frame = { (name: String) in PerfFrame(name: name, origin: .program) }
        tree.add([frame("t"), frame("a"), frame("a"), frame("b")], weight: 3)
        tree.add([frame("t"), frame("a")], weight: 2)
        #expect(tree.folded == "t;a 2\nt;a;b 3\n")
        #expect(tree.total == 5)
        #expect(tree.heaviest(9).map(\.name) == ["b", "a"])
    }

    @Test func namesInAFlameGraphAreEscaped() {
        var tree = StackTree()
        tree.add([PerfFrame(name: "a<b>&\"c\u{1}", origin: .library)], weight: 1)
        let svg = FlameGraph(stacks: tree, title: "<t>") { "\($0) samples" }.svg
        #expect(svg.contains("a&lt;b&gt;&amp;&quot;c?: 1 samples, 100.00 %"))
        #expect(svg.contains("&lt;t&gt;"))
        #expect(!svg.contains("a<b>"))
    }
}
