import JSON

/// Timelines as a trace for Perfetto, in the JSON of the Trace Event Format: a process per node, with a thread per stage, so
/// that stages that overlap keep their own tracks. Times are microseconds from the earliest one.
/// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
struct PerfettoTrace {
    let timelines: [Timeline]

    var bytes: [UInt8] {
        var writer = JSONWriter(capacity: 1 << 14)
        let nodes = nodes
        let stages = stages
        let origin = timelines.map(\.origin).min() ?? .zero
        writer.object {
            $0.member("displayTimeUnit", text: "ms" as StaticString)
            $0.array("traceEvents") { list in
                for (process, node) in nodes.enumerated() {
                    list.name(of: process + 1, nil, "process_name", node)
                    for (thread, stage) in stages.enumerated() {
                        list.name(of: process + 1, thread + 1, "thread_name", stage)
                        list.order(of: process + 1, thread + 1)
                    }
                }
                for timeline in timelines {
                    for lane in timeline.lanes {
                        guard let process = nodes.firstIndex(of: lane.node.address) else { continue }
                        for bar in lane.bars {
                            guard let thread = stages.firstIndex(of: bar.name) else { continue }
                            list.event(bar, of: timeline, lane, process + 1, thread + 1, origin)
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    /// The nodes, in order of appearance.
    private var nodes: [String] {
        timelines.flatMap(\.lanes).map(\.node.address).reduce(into: []) { nodes, node in
            if !nodes.contains(node) { nodes.append(node) }
        }
    }

    /// The names of stages, in order of appearance.
    private var stages: [String] {
        timelines.flatMap(\.lanes).flatMap(\.bars).map(\.name).reduce(into: []) { names, name in
            if !names.contains(name) { names.append(name) }
        }
    }
}

extension JSONWriter {
    private mutating func head(_ phase: StaticString, _ process: Int, _ thread: Int?) {
        member("ph", text: phase)
        member("pid", integer: process)
        if let thread { member("tid", integer: thread) }
    }

    fileprivate mutating func name(of process: Int, _ thread: Int?, _ kind: StaticString, _ name: String) {
        object {
            $0.head("M", process, thread)
            $0.member("name", text: kind)
            $0.object("args") { $0.member("name", text: name) }
        }
    }

    fileprivate mutating func order(of process: Int, _ thread: Int) {
        object {
            $0.head("M", process, thread)
            $0.member("name", text: "thread_sort_index" as StaticString)
            $0.object("args") { $0.member("sort_index", integer: thread) }
        }
    }

    fileprivate mutating func event(
        _ bar: Timeline.Bar, of timeline: Timeline, _ lane: Timeline.Lane, _ process: Int, _ thread: Int,
        _ origin: Duration
    ) {
        let begin = bar.begin ?? bar.end
        object {
            $0.head("X", process, thread)
            $0.member("name", text: bar.name)
            $0.member("cat", text: "stage" as StaticString)
            $0.member("ts", number: (begin - origin) / .microseconds(1))
            $0.member("dur", number: (bar.end - begin) / .microseconds(1))
            $0.object("args") {
                $0.member("of", text: timeline.title)
                $0.member("node", text: lane.note)
                $0.member("uncertainty_us", number: lane.node.clock.uncertainty / .microseconds(1))
            }
        }
    }
}
