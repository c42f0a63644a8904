/// Finds the runs of the block index that can be believed: adjacent, with the checksums they should have, and each ending with
/// a block that the log has at that place (docs/storage.md, "Index"). Removes all other files.
struct IndexRecovery {
    /// Why something has to be built again; nil if nothing has.
    private(set) var doubt: String?
    private let directory: String
    private let segments: MappedSegments
    /// The first heights of the segments, ascending.
    private let names: [Int64]
    private let disk: any Disk

    /// The store in `directory` has segments that start at the heights `names`.
    init(directory: String, segments: MappedSegments, names: [Int64], disk: any Disk) {
        self.directory = BlockIndex.directory(in: directory)
        self.segments = segments
        self.names = names
        self.disk = disk
    }

    /// Returns the runs, oldest first, creating the directory if it is missing.
    mutating func open() throws(StorageError) -> [IndexRun] {
        guard disk.exists(directory) else {
            try disk.makeDirectory(directory)
            if !names.isEmpty { doubt = "it is missing" }
            return []
        }
        let files = try disk.names(in: directory).filter { $0 != "." && $0 != ".." }
        let runs = try believable(files)
        let kept = Set(runs.map(\.path))
        for name in files where !kept.contains(directory + "/" + name) {
            _ = try disk.remove(directory + "/" + name)
        }
        return runs
    }

    private mutating func believable(_ files: [String]) throws(StorageError) -> [IndexRun] {
        guard var next = names.first else { return [] }
        var runs: [IndexRun] = []
        // If a crash came between a merge and the removal of its sources, the longer one comes first.
        let all = files.compactMap(IndexRun.heights(ofName:)).sorted {
            ($0.lowerBound, $1.upperBound) < ($1.lowerBound, $0.upperBound)
        }
        for heights in all where heights.upperBound >= next {
            guard runs.isEmpty ? heights.lowerBound <= next : heights.lowerBound == next else {
                doubt = doubt ?? "the file with block \(next) is missing"
                break
            }
            guard let run = try open(heights) else { continue }
            runs.append(run)
            next = heights.upperBound &+ 1
        }
        return runs
    }

    /// Opens a run; nil, with a reason in `doubt`, if it cannot be believed.
    private mutating func open(_ heights: ClosedRange<Int64>) throws(StorageError) -> IndexRun? {
        let path = directory + "/" + IndexRun.name(heights)
        do throws(StorageError) {
            let run = try IndexRun(opening: path, disk: disk)
            if run.header.heights == heights, try isInLog(run) { return run }
            doubt = doubt ?? "\(path) is of another block log"
        } catch .index(_, _, let why) {
            doubt = doubt ?? "\(path): \(why)"
        } catch .corrupted {
            doubt = doubt ?? "\(path) is of another block log"
        }
        return nil
    }

    /// Whether the log has the run's last block where the run says. Also reads the other positions that a start needs.
    private func isInLog(_ run: IndexRun) throws(StorageError) -> Bool {
        let height = run.header.lastHeight
        for needed in [height &- 1] + names.map({ $0 &- 1 }) where run.header.heights.contains(needed) {
            _ = try run.location(of: needed)
        }
        let location = try run.location(of: height)
        guard disk.exists(segments.path(location.segment)) else { return false }
        let record = try segments.header(of: height, at: location, index: run.path)
        return record.height == height && record.hash == location.hash
    }
}
