import CShims
import Glibc

/// The command line of the process.
public enum ProgramWords {
    /// Returns the words after the program's name, as passed to `main`: `CommandLine` reads /proc, which a
    /// container or a service may lack. Throws for words that are not UTF-8 instead of changing them.
    public static func read() throws(UsageError) -> [String] {
        var count: Int32 = 0
        var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        apus_program_words(&count, &words)
        var texts: [String] = []
        for position in 1..<max(1, Int(count)) {
            guard let word = words?[position] else { break }
            guard let text = String(validatingCString: word) else { throw .notUTF8(position: position) }
            texts.append(text)
        }
        return texts
    }
}
