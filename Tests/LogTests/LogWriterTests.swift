import CShims
import Glibc
import Testing

@testable import Log

/// The log's thread, and failures at the other end of its descriptor.
@Suite(.timeLimit(.minutes(2))) struct LogWriterTests {
    /// Longer than any machine needs for a handful of lines.
    private static let patience = Duration.seconds(60)

    private func log(_ writer: LogWriter) -> Log { Log(source: "test", level: .trace, sink: writer) }

    /// Returns the numbers of the events `n=…` in the order written.
    private func numbers(_ lines: [String]) -> [Int] {
        lines.compactMap { line in
            line.firstRange(of: " n=").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
        }
    }

    /// Returns the counts and reasons reported by lines about lost events.
    private func losses(_ lines: [String]) -> [Substring] {
        lines.compactMap { line in
            line.firstRange(of: "log events were lost ").map { line[$0.upperBound...] }
        }
    }

    @Test func linesOfAllThreadsComeOutWholeAndInOrder() throws {
        let pipe = Pipe()
        let writer = try LogWriter.start(.text, to: pipe.writer)
        let log = log(writer)
        let lines = try pipe.lines()
        let threads = try (0..<4).map { thread in
            try OnThread<Void> {
                for n in 0..<500 { log.info("event", ["thread": .number(thread), "n": .number(n)]) }
            }
        }
        for thread in threads { thread.value }
        #expect(writer.finish(within: Self.patience))
        log.info("after the end")
        pipe.close(pipe.writer)
        let all = try #require(lines.value)
        #expect(all.count == 2_000)
        for thread in 0..<4 {
            #expect(numbers(all.filter { $0.contains(" thread=\(thread) ") }) == Array(0..<500))
        }
    }

    /// The count of suppressed events is logged at the latest at the end.
    @Test func aFloodIsSuppressedAndReported() throws {
        let pipe = Pipe()
        let writer = try LogWriter.start(.text, to: pipe.writer)
        let log = log(writer)
        let lines = try pipe.lines()
        let burst = LogLimiter.usual.burst
        for n in 0..<burst + 500 { log.info("event", ["peer": .text("p"), "n": .number(n)]) }
        log.info("event", ["n": .number(-1)])
        #expect(writer.finish(within: Self.patience))
        pipe.close(pipe.writer)
        let all = try #require(lines.value)
        let shown = numbers(all).filter { $0 >= 0 }
        #expect(shown.starts(with: 0..<burst))
        #expect(all.contains { $0.hasSuffix(" info test: event n=-1") })
        let suppressed = all.compactMap { line in
            line.firstRange(of: "log events were suppressed message=event events=").flatMap {
                Int(line[$0.upperBound...])
            }
        }
        #expect(suppressed.reduce(0, +) + shown.count == burst + 500)
        #expect(suppressed.count == 1)
    }

    /// Logging never blocks, memory is bounded and the process can end; the loss is reported once the log is
    /// read.
    @Test func nobodyReads() throws {
        let pipe = Pipe()
        let writer = try LogWriter.start(.text, to: pipe.writer)
        let log = log(writer)
        let count = 4_000
        let padding = String(repeating: "x", count: 1_000)
        for n in 0..<count { log.info("event", ["n": .number(n), "padding": .text(padding)]) }
        let dropped = Int(writer.dropped)
        #expect(dropped > 0)
        // The queue, as much again in the thread, and the pipe's buffer.
        #expect((count - dropped) * padding.count < 2 * LogWriter.maximumBytes + 65_536)
        #expect(!writer.finish(within: .milliseconds(20)))

        let lines = try pipe.lines()
        #expect(writer.isWritten(within: Self.patience))
        pipe.close(pipe.writer)
        let all = try #require(lines.value)
        #expect(numbers(all).count == count - dropped)
        #expect(numbers(all) == numbers(all).sorted())
        #expect(losses(all) == [#"events=\#(dropped) reason="the log's reader was too slow""#])
    }

    /// With many short events the event limit applies before the byte limit.
    @Test func eventsThatWaitAreBounded() throws {
        let pipe = Pipe()
        let writer = try LogWriter.start(.text, to: pipe.writer)
        let log = Log(source: "", level: .trace, sink: writer)
        // More than two queues and the pipe can hold.
        for _ in 0..<3 * LogWriter.maximumEvents { log.info("") }
        #expect(writer.dropped > 0)
        #expect(!writer.finish(within: .zero))
        pipe.close(pipe.reader)
        #expect(writer.isWritten(within: Self.patience))
    }

    enum Obstacle: CaseIterable {
        case readerGone, fullDevice, closedDescriptor, readOnlyDescriptor

        var reason: String {
            switch self {
            case .readerGone: "Broken pipe"
            case .fullDevice: "No space left on device"
            case .closedDescriptor, .readOnlyDescriptor: "Bad file descriptor"
            }
        }
    }

    /// Events that cannot be written are counted, the process survives, and the count precedes the first line
    /// that is written.
    @Test(arguments: Obstacle.allCases) func cannotBeWritten(_ obstacle: Obstacle) throws {
        let pipe = Pipe()
        let descriptor = Descriptor(pipe.writer)
        switch obstacle {
        case .readerGone:
            let broken = Pipe()
            broken.close(broken.reader)
            descriptor.lead(to: broken.writer)
        case .fullDevice:
            let full = open("/dev/full", O_WRONLY)
            descriptor.lead(to: full)
            close(full)
        case .closedDescriptor: close(descriptor.number)
        case .readOnlyDescriptor: descriptor.lead(to: pipe.reader)
        }
        let writer = try LogWriter.start(.text, to: descriptor.number)
        let log = log(writer)
        for n in 0..<3 {
            log.info("event", ["n": .number(n)])
            #expect(writer.isWritten(within: Self.patience))
        }
        descriptor.lead(to: pipe.writer)
        for n in 3..<6 { log.info("event", ["n": .number(n)]) }
        #expect(writer.finish(within: Self.patience))
        let lines = try pipe.lines()
        pipe.close(pipe.writer)
        close(descriptor.number)
        let all = try #require(lines.value)
        #expect(numbers(all) == [3, 4, 5])
        #expect(losses(all) == [#"events=3 reason="\#(obstacle.reason)""#])
        #expect(all.first?.contains("were lost") == true)
    }

    /// Another process that shares the descriptor may have made it non-blocking.
    @Test func nonBlockingDescriptor() throws {
        let pipe = Pipe()
        #expect(fcntl(pipe.writer, F_SETFL, O_NONBLOCK) == 0)
        let writer = try LogWriter.start(.text, to: pipe.writer)
        let log = log(writer)
        for n in 0..<500 {
            log.info("event", ["n": .number(n), "x": .text(String(repeating: "x", count: 500))])
        }
        let lines = try pipe.lines()
        #expect(writer.finish(within: Self.patience))
        pipe.close(pipe.writer)
        #expect(numbers(try #require(lines.value)) == Array(0..<500))
    }

    /// After a line that was cut off, the next begins on a new line.
    @Test func cutOffLine() throws {
        let (first, second) = (Pipe(), Pipe())
        let descriptor = Descriptor(first.writer)
        first.close(first.writer)
        signal(SIGPIPE, SIG_IGN)
        let reading = try OnThread { [reader = first.reader] in
            var buffer = [UInt8](repeating: 0, count: 1_000)
            return read(reader, &buffer, buffer.count)
        }
        var output = LineOutput(descriptor: descriptor.number)
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 60_000)
        // Without a line feed, as if the rest had not been written.
        #expect(long.withUnsafeBytes { output.write($0) } == (60_000, 0))
        #expect(reading.value == 1_000)
        first.close(first.reader)
        #expect(Array("lost\n".utf8).withUnsafeBytes { output.write($0) } == (0, EPIPE))
        descriptor.lead(to: second.writer)
        #expect(Array("a\n".utf8).withUnsafeBytes { output.write($0) } == (2, 0))
        #expect(Array("b\n".utf8).withUnsafeBytes { output.write($0) } == (2, 0))
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = read(second.reader, &buffer, buffer.count)
        #expect(String(decoding: buffer[..<count], as: UTF8.self) == "\na\nb\n")
    }

    /// Lines that fit into an atomic pipe write go out together, and a longer one by itself.
    @Test func lineBatches() {
        let output = LogOutput.lines(LineOutput(descriptor: -1))
        #expect(output.share(of: [10, 4_096, 4_097], from: 0, start: 0) == 2)
        #expect(output.share(of: [10, 4_096, 4_097], from: 2, start: 4_096) == 1)
        #expect(output.share(of: [5_000, 5_001], from: 0, start: 0) == 1)
    }

    // MARK: Journal

    /// A journal's socket in a directory of its own.
    private final class Journal {
        let directory: String
        let socket: Int32
        var path: String { directory + "/socket" }

        init() {
            var template = Array("/tmp/apus-log-XXXXXX".utf8CString)
            directory = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
            socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            listen()
        }

        deinit {
            close(socket)
            unlink(path)
            rmdir(directory)
        }

        private func listen() {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            precondition(result == 0)
        }

        /// Returns the next datagram, or the contents of the memory file it carries.
        func next() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            var control = [UInt64](repeating: 0, count: 8)
            var message = msghdr()
            let count = bytes.withUnsafeMutableBytes { bytes in
                control.withUnsafeMutableBytes { control in
                    var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        message.msg_iov = vector
                        message.msg_iovlen = 1
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                        return recvmsg(socket, &message, 0)
                    }
                }
            }
            guard message.msg_controllen > 0 else { return Array(bytes[..<count]) }
            // Length, level and type precede the descriptor.
            let file = Int32(truncatingIfNeeded: control[2])
            defer { close(file) }
            let size = lseek(file, 0, SEEK_END)
            var content = [UInt8](repeating: 0, count: size)
            #expect(count == 0 && pread(file, &content, size, 0) == size)
            #expect(pwrite(file, "x", 1, 0) == -1, "it is not sealed")
            return content
        }
    }

    @Test func journal() throws {
        let journal = Journal()
        let writer = try LogWriter(.journal, .journal(JournalOutput(path: journal.path)))
        log(writer).error("block cannot be read", ["reason": .bytes([0xFF, 10])])
        log(writer).info("second")
        #expect(writer.finish(within: Self.patience))
        let entry = try #require(LogFormatTests.entry(journal.next()))
        #expect(entry["MESSAGE"] == Array(#"block cannot be read reason=\xff\n"#.utf8))
        #expect(entry["APUS_REASON"] == [0xFF, 10])
        #expect(LogFormatTests.entry(journal.next())?["MESSAGE"] == Array("second".utf8))
    }

    @Test func longEntryGoesInSealedMemory() throws {
        let journal = Journal()
        let output = try JournalOutput(path: journal.path)
        let bytes = (0..<4 << 20).map { UInt8(truncatingIfNeeded: $0) }
        #expect(bytes.withUnsafeBytes { output.write($0) } == (bytes.count, 0))
        #expect(journal.next() == bytes)
    }

    /// The journal restarts meanwhile.
    @Test func journalComesBack() throws {
        let journal = Journal()
        let away = journal.path + ".away"
        let writer = try LogWriter(.journal, .journal(JournalOutput(path: journal.path)))
        rename(journal.path, away)
        log(writer).info("lost")
        #expect(writer.isWritten(within: Self.patience))
        rename(away, journal.path)
        log(writer).info("kept")
        #expect(writer.finish(within: Self.patience))
        #expect(
            LogFormatTests.entry(journal.next())?["MESSAGE"]
                == Array(#"log events were lost events=1 reason="No such file or directory""#.utf8))
        #expect(LogFormatTests.entry(journal.next())?["MESSAGE"] == Array("kept".utf8))
    }

    @Test func noJournal() {
        #expect(throws: LogError.system("cannot reach the journal at /nonexistent/socket", ENOENT)) {
            try JournalOutput(path: "/nonexistent/socket")
        }
    }

    @Test func signalsThatWritingCausesAreIgnored() throws {
        let pipe = Pipe()
        let writer = try LogWriter.start(.text, to: pipe.writer)
        for number in [SIGPIPE, SIGXFSZ] {
            var action = sigaction()
            sigaction(number, nil, &action)
            #expect(unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1, "SIG_IGN")
        }
        #expect(writer.finish(within: Self.patience))
    }
}
