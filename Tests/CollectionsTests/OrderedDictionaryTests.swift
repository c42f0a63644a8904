import Collections
import TestSupport
import Testing

/// A dictionary and the array it should equal.
private struct Twins {
    typealias Entry = (key: TestKey, value: [Int])

    var dictionary: OrderedDictionary<TestKey, [Int]> = [:]
    var model: [Entry] = []

    func index(_ key: TestKey) -> Int? { model.firstIndex { $0.key == key } }

    mutating func set(_ key: TestKey, _ number: Int) {
        dictionary[key] = [number]
        if let index = index(key) { model[index].value = [number] } else { model.append((key, [number])) }
    }

    /// Changes a value in place, in one of several ways.
    mutating func change(_ key: TestKey, _ number: Int) {
        let index = index(key)
        if number % 2 == 0 {
            dictionary[key]?.append(number)
            if let index { model[index].value.append(number) }
        } else {
            dictionary[key, default: [1]].append(number)
            if let index { model[index].value.append(number) } else { model.append((key, [1, number])) }
        }
    }

    /// Removes a key, in one of several ways.
    mutating func remove(_ key: TestKey, _ number: Int) {
        let old = index(key).map { model.remove(at: $0).value }
        #expect(dictionary[key] == old)
        switch number % 3 {
        case 0: dictionary[key] = nil
        case 1: #expect(dictionary.removeValue(forKey: key) == old)
        default: #expect(Self.empty(&dictionary[key]) == old)
        }
    }

    private static func empty(_ value: inout [Int]?) -> [Int]? { value.take() }

    mutating func removeMany(_ generator: inout SeededGenerator) {
        if Bool.random(using: &generator) {
            let count = Int.random(in: 0...model.count, using: &generator)
            dictionary.removeFirst(count)
            model.removeFirst(count)
        } else {
            let divisor = Int.random(in: 1...5, using: &generator)
            dictionary.removeAll { ($0.key.number + $0.value.count) % divisor == 0 }
            model.removeAll { ($0.key.number + $0.value.count) % divisor == 0 }
        }
    }

    func check(_ keys: [TestKey]) {
        #expect(dictionary.count == model.count && dictionary.isEmpty == model.isEmpty)
        #expect(dictionary.elementsEqual(model) { $0 == $1 })
        #expect(Array(dictionary.keys) == model.map(\.key) && dictionary.keys.count == model.count)
        #expect(Array(dictionary.values) == model.map(\.value) && dictionary.values.count == model.count)
        #expect(dictionary.values.last == model.last?.value)
        let even = dictionary.filter { $0.key.number % 2 == 0 }
        #expect(Array(even.keys) == model.map(\.key).filter { $0.number % 2 == 0 })
        let known = Dictionary(uniqueKeysWithValues: model.map { ($0.key, $0.value) })
        #expect(keys.allSatisfy { dictionary[$0] == known[$0] })
    }
}

struct OrderedDictionaryTests {
    /// Each seed selects a kind of key and a size of dictionary.
    @Test(
        "Generated operations agree with an array's, on copies too", arguments: 0..<60 as Range<UInt64>)
    func operations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let size = [4, 16, 40, 150, 600][Int(seed % 5)]
        let hashes = [0, 0, 1, 7][Int(seed % 4)]
        let keys = (0..<size).map { TestKey(number: $0, hashes: hashes) }
        var twins = Twins()
        var copies: [Twins] = []
        // Alternates between mostly adding and mostly removing, so that every size occurs.
        var adding = true
        for number in 0..<2_000 {
            if number % (size / 2) == 0 { adding = Bool.random(using: &generator) }
            let key = keys[Int.random(in: 0..<size, using: &generator)]
            switch Int.random(in: 0..<200, using: &generator) {
            case 0..<90: if adding { twins.set(key, number) } else { twins.remove(key, number) }
            case 90..<120: if adding { twins.remove(key, number) } else { twins.set(key, number) }
            case 120..<160: twins.change(key, number)
            case 160..<175: if let first = twins.model.first { twins.remove(first.key, number) }
            case 175..<190: if let last = twins.model.last { twins.remove(last.key, number) }
            case 190..<192: twins.removeMany(&generator)
            case 192..<196 where copies.count < 4: copies.append(twins)
            default: if !copies.isEmpty { swap(&twins, &copies[number % copies.count]) }
            }
            if number % max(16, size) == 0 { twins.check(keys) }
        }
        twins.check(keys)
        for copy in copies { copy.check(keys) }
    }

    @Test("The oldest key is removed first, however often")
    func oldest() {
        for width in [1, 15, 16, 17, 100] {
            var dictionary: OrderedDictionary<Int, Int> = [:]
            for number in 0..<width * 20 {
                dictionary[number] = -number
                if dictionary.count > width { dictionary.removeFirst() }
            }
            #expect(Array(dictionary.keys) == Array(width * 19..<width * 20))
            #expect(dictionary.allSatisfy { $0.key == -$0.value })
        }
    }

    @Test("Values are changed in place", arguments: [3, 100])
    func inPlace(count: Int) {
        var dictionary: OrderedDictionary<Int, [Int]> = [:]
        for number in 0..<count { dictionary[number] = Array(0..<100) }
        let address = dictionary[2]?.withUnsafeBufferPointer(\.baseAddress)
        dictionary[2]?[0] = 7
        dictionary[2, default: []][1] = 8
        #expect(dictionary[2]?.withUnsafeBufferPointer(\.baseAddress) == address)
        #expect(dictionary[2]?.prefix(3) == [7, 8, 2])
    }

    @Test("A loop over the keys may change values and remove keys")
    func changesInLoops() {
        var dictionary = OrderedDictionary((0..<50).map { ($0, $0) }, uniquingKeysWith: { first, _ in first })
        for key in dictionary.keys {
            if key % 3 == 0 { dictionary[key] = nil } else { dictionary[key]? += 1_000 }
        }
        #expect(Array(dictionary.keys) == (0..<50).filter { $0 % 3 != 0 })
        #expect(dictionary.allSatisfy { $0.value == $0.key + 1_000 })
    }

    @Test("A removed value is released at once")
    func values() {
        final class Thing {}
        var dictionary: OrderedDictionary<Int, Thing> = [:]
        for number in 0..<100 { dictionary[number] = Thing() }
        weak let thing = dictionary[50]
        #expect(thing != nil)
        dictionary[50] = nil
        #expect(thing == nil)
    }

    @Test("A repeated key keeps its position")
    func again() {
        let summed = OrderedDictionary([(2, 1), (1, 5), (2, 10)], uniquingKeysWith: +)
        #expect(summed == [2: 11, 1: 5])
        #expect(summed != [1: 5, 2: 11])
    }

    @Test("Optional values can be present and nil")
    func optionals() {
        var dictionary: OrderedDictionary<Int, Int?> = [:]
        for number in 0..<40 { dictionary[number] = .some(number % 2 == 0 ? nil : number) }
        for number in 0..<20 { dictionary.removeValue(forKey: number) }
        #expect(dictionary.count == 20 && dictionary[20] == .some(nil) && dictionary[0] == nil)
        #expect(Array(dictionary.values) == (20..<40).map { $0 % 2 == 0 ? nil : $0 })
    }

    @Test("A condition that throws leaves the dictionary intact")
    func throwing() {
        struct Stop: Error {}
        var dictionary = OrderedDictionary((0..<30).map { ($0, $0) }, uniquingKeysWith: { first, _ in first })
        #expect(throws: Stop.self) {
            try dictionary.removeAll { key, _ in
                guard key < 10 else { throw Stop() }
                return key % 2 == 0
            }
        }
        #expect(Array(dictionary.keys) == [1, 3, 5, 7, 9] + Array(10..<30))
        #expect((0..<30).allSatisfy { (dictionary[$0] == nil) == ($0 < 10 && $0 % 2 == 0) })
    }
}
