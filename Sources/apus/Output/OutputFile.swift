import Arguments
import Bytes

/// A file that a command writes beside its result.
enum OutputFile {
    /// Creates or replaces the file at `path`. Throws an error that names it.
    static func write(_ content: some ByteSource, to path: String) throws(CommandFailure) {
        do {
            try FileContent.replace(path, content)
        } catch {
            throw CommandFailure("\(path): \(error)")
        }
    }
}
