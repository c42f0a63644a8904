import Glibc

/// The system's clock, which an operator may set back.
public enum WallClock {
    /// The time since 1970.
    public static var now: Duration {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Whole milliseconds since 1970.
    public static var milliseconds: Int64 { now.nanoseconds / 1_000_000 }
}
