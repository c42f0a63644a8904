import Glibc
import Synchronization

// Proves that a sanitizer reports what is wrong and nothing else. `make sanitize` runs it before the tests:
// `control sound` must pass, `control race` and `control overrun` must be reported.

private final class Cell: @unchecked Sendable {
    var count = 0
    var list: [Int] = []

    func add(_ number: Int) {
        count += 1
        list.append(number)
    }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func startThread(_ run: @escaping @Sendable () -> Void) -> pthread_t {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(Body(run)).toOpaque()
    pthread_create(
        &thread, nil,
        { argument in
            argument.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
            return nil
        }, body)
    return thread
}

/// Four threads that count under one lock, which they contend for; with `isRacing`, now and then without it.
private func contend(isRacing: Bool) {
    let lock = Mutex(())
    let cell = Cell()
    let threads = (0..<4).map { _ in
        startThread {
            for number in 0..<2_000 {
                if isRacing && number % 100 == 0 {
                    cell.count += 1
                } else {
                    lock.withLock { _ in cell.add(number) }
                }
            }
        }
    }
    for thread in threads { pthread_join(thread, nil) }
}

/// Continuations that other threads resume before, while and after the task begins to wait.
private func resume() async {
    for number in 0..<2_000 {
        let cell = await withUnsafeContinuation { (continuation: UnsafeContinuation<Cell, Never>) in
            let thread = startThread {
                let cell = Cell()
                cell.add(number)
                continuation.resume(returning: cell)
            }
            pthread_detach(thread)
            if number % 3 == 0 { usleep(UInt32(number % 200)) }
        }
        cell.add(number)
    }
}

/// Reads beyond the end of allocated memory.
private func overrun() {
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 16)
    bytes.initialize(repeating: 0, count: 16)
    print(bytes[Int(CommandLine.argc) + 14])
    bytes.deallocate()
}

switch CommandLine.arguments.dropFirst().first {
case "race": contend(isRacing: true)
case "overrun": overrun()
default:
    contend(isRacing: false)
    await resume()
}
