import CShims
import Glibc

/// The command line of this process.
public enum ProgramWords {
    /// The words after the program's name, as `main` got them: `CommandLine` reads /proc, which a container or a
    /// service may lack. Refuses what is not UTF-8 rather than to change it.
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
