import Symbols

/// Reads the text of `perf script -F comm,pid,tid,time,event,ip,sym,dso`: an event's line, followed by a line for each
/// function of its stack and an empty line.
///
///     apus-reactor 17/23  2254.100343:    cpu-clock:
///     <tab>          93a9d2 swift_release (/usr/bin/apus)
///
/// Lines of other forms, such as warnings, are skipped.
struct PerfScript {
    /// The path of the profiled program, whose functions are told from those of libraries.
    let program: String
    private var event: PerfEvent?
    /// Functions seen before, by their lines without the address: each is demangled once.
    private var frames: [ArraySlice<UInt8>: PerfFrame?] = [:]

    init(program: String) { self.program = program }

    /// Reads one line, without its end. Returns the event before it, if this line ends that.
    mutating func read(_ line: ArraySlice<UInt8>) -> PerfEvent? {
        if line.first == Self.tab {
            if let frame = frame(line.drop { $0 == Self.tab || $0 == Self.space }) {
                event?.frames.append(frame)
            }
            return nil
        }
        let last = finish()
        event = Self.event(line)
        return last
    }

    /// Returns the last event, after the last line.
    mutating func finish() -> PerfEvent? {
        defer { event = nil }
        return event
    }

    private static let tab = UInt8(ascii: "\t")
    private static let space = UInt8(ascii: " ")

    // MARK: Events

    /// The words before the one of the form `17/23` are the thread's name.
    private static func event(_ line: ArraySlice<UInt8>) -> PerfEvent? {
        let words = line.split(separator: space)
        guard
            let place = words.indices.dropFirst().first(where: { identifiers(words[$0]) != nil }),
            let (_, threadID) = identifiers(words[place]), place + 2 < words.count,
            let time = microseconds(words[place + 1]), let kind = kind(words[(place + 2)...])
        else { return nil }
        let name = words[..<place].map { text($0) }.joined(separator: " ")
        return PerfEvent(kind: kind, thread: name, threadID: threadID, time: time)
    }

    private static func kind(_ words: ArraySlice<ArraySlice<UInt8>>) -> PerfEvent.Kind? {
        let words = words.map { text($0) }
        guard words[0] == "PERF_RECORD_SWITCH" else {
            return words[0].hasSuffix(":") ? .sample(isSwitch: words[0].hasPrefix("sched:sched_switch")) : nil
        }
        return switch words.dropFirst().first {
        case "IN": .switchedIn
        case "OUT": .switchedOut(isPreempted: words.last == "preempt")
        default: nil
        }
    }

    /// The process and thread of `17/23`.
    private static func identifiers(_ word: ArraySlice<UInt8>) -> (Int, Int)? {
        let parts = word.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, let process = Int(text(parts[0])), let thread = Int(text(parts[1])) else {
            return nil
        }
        return (process, thread)
    }

    /// The time `2254.100343:`.
    private static func microseconds(_ word: ArraySlice<UInt8>) -> UInt64? {
        guard word.last == UInt8(ascii: ":") else { return nil }
        let parts = word.dropLast().split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count == 6, let seconds = UInt64(text(parts[0])),
            let rest = UInt64(text(parts[1])), seconds < UInt64.max / 2_000_000
        else { return nil }
        return seconds * 1_000_000 + rest
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    // MARK: Stacks

    /// The function of `93a9d2 swift_release (/usr/bin/apus)`; nil if `perf` could not tell it, as at the end of a stack
    /// through code without frame pointers.
    private mutating func frame(_ line: ArraySlice<UInt8>) -> PerfFrame? {
        guard let gap = line.firstIndex(of: Self.space) else { return nil }
        let key = line[(gap + 1)...]
        if let known = frames[key] { return known }
        let frame = makeFrame(key)
        frames[key] = .some(frame)
        return frame
    }

    private func makeFrame(_ line: ArraySlice<UInt8>) -> PerfFrame? {
        guard line.last == UInt8(ascii: ")"), let open = line.lastIndex(of: UInt8(ascii: "(")),
            open > line.startIndex
        else { return nil }
        let module = Self.text(line[(open + 1)...].dropLast())
        let symbol = Self.text(line[..<(open - 1)])
        guard module != "[unknown]" else { return nil }
        if module.hasPrefix("[") { return PerfFrame(name: symbol, origin: .kernel) }
        let isProgram = module == program
        guard symbol != "[unknown]" else {
            let file = module.split(separator: "/").last.map(String.init) ?? module
            return PerfFrame(name: "[\(file)]", origin: isProgram ? .program : .library)
        }
        return PerfFrame(name: SwiftSymbol.name(of: symbol), origin: isProgram ? .program : .library)
    }
}
