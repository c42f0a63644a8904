import Arguments
import Glibc

/// The file that `--trace` names, created or truncated.
struct TraceFile: Sendable {
    let file: Int32

    init(_ path: String) throws(CommandFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw CommandFailure("\(path): cannot be written: \(String(cString: strerror(errno)))")
        }
        file = descriptor
    }
}
