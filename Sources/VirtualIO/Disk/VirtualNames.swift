import Collections
import Storage

/// The directories and names of a virtual disk: those on the device, and the changes since.
struct VirtualNames {
    private enum Change {
        case link(String, Int)
        case unlink(String)
        case rename(String, to: String, Int)
        case directory(String)
    }

    private struct Table {
        var files: [String: Int] = [:]
        var directories: Set<String> = []

        mutating func apply(_ change: Change) {
            switch change {
            case .link(let path, let number): files[path] = number
            case .unlink(let path): files[path] = nil
            case .rename(let path, let target, let number): (files[path], files[target]) = (nil, number)
            case .directory(let path): directories.insert(path)
            }
        }
    }

    private var current = Table()
    private var durable = Table()
    /// The changes from `durable` to `current`, by directory, in order.
    private var changes: [String: [Change]] = [:]

    /// The maximum number of a directory's changes in memory; beyond it the oldest goes to the device by itself.
    private static let maxChanges = 64

    /// Returns whether a directory is a root: roots always exist, and their changes are durable at once.
    private static func isRoot(_ directory: String) -> Bool { directory == "." || directory == "/" }

    // MARK: Operations

    func file(_ path: String) -> Int? { current.files[path] }

    func isDirectory(_ path: String) -> Bool {
        VirtualNames.isRoot(path) || current.directories.contains(path)
    }

    /// Returns the names in a directory, sorted.
    func names(in directory: String) -> [String] {
        (Array(current.files.keys) + Array(current.directories))
            .filter { AtomicFile.directory(of: $0) == directory }
            .map { path in
                path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
            }
            .sorted()
    }

    mutating func link(_ path: String, _ number: Int) { add(.link(path, number), path) }
    mutating func unlink(_ path: String) { add(.unlink(path), path) }
    mutating func makeDirectory(_ path: String) { add(.directory(path), path) }
    /// Renames a file within its directory.
    mutating func rename(_ path: String, to target: String, _ number: Int) {
        add(.rename(path, to: target, number), path)
    }

    private mutating func add(_ change: Change, _ path: String) {
        current.apply(change)
        let directory = AtomicFile.directory(of: path)
        changes[directory, default: []].append(change)
        if VirtualNames.isRoot(directory) { synchronize(directory) }
        if let count = changes[directory]?.count, count > VirtualNames.maxChanges,
            let oldest = changes[directory]?.removeFirst()
        {
            durable.apply(oldest)
        }
    }

    mutating func synchronize(_ directory: String) {
        for change in changes.removeValue(forKey: directory) ?? [] { durable.apply(change) }
    }

    // MARK: Faults

    /// Keeps the changes of each directory up to an arbitrary one. The content of lost directories is lost.
    mutating func powerFail(_ random: inout SeededGenerator) {
        for directory in changes.keys.sorted() {
            let changes = changes[directory] ?? []
            for change in changes.prefix(Int(random.below(changes.count + 1))) { durable.apply(change) }
        }
        changes = [:]
        // In sorted order a directory precedes its content.
        for path in durable.directories.sorted() where !isOnDevice(AtomicFile.directory(of: path)) {
            durable.directories.remove(path)
        }
        durable.files = durable.files.filter { isOnDevice(AtomicFile.directory(of: $0.key)) }
        current = durable
    }

    private func isOnDevice(_ directory: String) -> Bool {
        VirtualNames.isRoot(directory) || durable.directories.contains(directory)
    }

    /// The paths of the files on the device, sorted, with their numbers.
    var durableFiles: [(path: String, number: Int)] {
        durable.files.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The files that have a name, or would have one after a power failure now.
    var numbers: Set<Int> {
        var numbers = Set(current.files.values).union(durable.files.values)
        for change in changes.values.joined() {
            switch change {
            case .link(_, let number), .rename(_, _, let number): numbers.insert(number)
            case .unlink, .directory: break
            }
        }
        return numbers
    }
}
