/// Returns the candidate that a misspelt word most likely means, or nil if none is near: the one at the
/// smallest edit distance (insertions, deletions, substitutions, swapped neighbours) if that is small for the
/// word's length, or else the only one the word abbreviates.
func nearest(to word: String, among candidates: [String]) -> String? {
    let letters = Array(word.utf8)
    guard letters.count <= longestMisspelling else { return nil }
    let limit = max(1, letters.count / 3)
    var best: (distance: Int, candidate: String)?
    for candidate in candidates {
        let distance = editDistance(letters, Array(candidate.utf8))
        if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    if let best { return best.candidate }
    let longer = candidates.filter { $0.utf8.starts(with: letters) }
    return longer.count == 1 && !letters.isEmpty ? longer.first : nil
}

/// Longer words are never misspelt options.
private let longestMisspelling = 64

/// Returns the optimal string alignment distance.
private func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...other.count)
    for (row, letter) in one.enumerated() {
        var current = [row + 1]
        for (column, otherLetter) in other.enumerated() {
            var least = min(
                last[column + 1] + 1, current[column] + 1, last[column] + (letter == otherLetter ? 0 : 1))
            if row > 0, column > 0, letter == other[column - 1], one[row - 1] == otherLetter {
                least = min(least, beforeLast[column - 1] + 1)
            }
            current.append(least)
        }
        (beforeLast, last) = (last, current)
    }
    return last[other.count]
}
