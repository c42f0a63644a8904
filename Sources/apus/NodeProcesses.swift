import Arguments
import Bytes
import Glibc

/// Finds the nodes that run on this machine.
enum NodeProcesses {
    /// The largest command line that Linux allows is larger, but a node's is not.
    private static let commandLimit = 64 << 10

    /// Returns the IDs and command lines of all processes that run `apus run`.
    static func all() -> [(pid: pid_t, command: String)] {
        let names = (try? DirectoryTree.names(in: "/proc")) ?? []
        return names.compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }.sorted().compactMap {
            pid in
            guard let bytes = try? FileContent.read("/proc/\(pid)/cmdline", limit: commandLimit) else {
                return nil
            }
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard words.count > 1, words[0] == "apus" || words[0].hasSuffix("/apus"), words[1] == "run" else {
                return nil
            }
            return (pid, words.joined(separator: " "))
        }
    }

    /// Returns the only node's process ID.
    static func only() throws(CommandFailure) -> pid_t {
        let all = all()
        if all.count == 1 { return all[0].pid }
        if all.isEmpty { throw CommandFailure("no node runs on this machine: start one, or give --pid") }
        let list = all.map { "\($0.pid): \($0.command)" }.joined(separator: "; ")
        throw CommandFailure("\(all.count) nodes run on this machine; choose one with --pid: \(list)")
    }

    /// Returns the path of a process's program.
    static func program(of pid: pid_t) throws(CommandFailure) -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/\(pid)/exe", &path, path.count)
        guard count > 0 else { throw CommandFailure("process \(pid): \(SystemErrorText.of(errno))") }
        return String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
