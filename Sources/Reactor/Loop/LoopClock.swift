/// Reads the time of one loop (`Reactor.now`) on any thread, such as in a worker's job. In a simulation, jobs run on the
/// loop, and no other thread may read.
public struct LoopClock: Sendable {
    let driver: Driver

    /// Time since the loop began.
    public var now: Duration { driver.now }
}
