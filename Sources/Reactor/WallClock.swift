import Bytes
import Glibc

/// The system's clock, which an operator may set back.
public enum WallClock {
    /// The time since 1970.
    public static var now: Duration { .now(CLOCK_REALTIME) }

    /// Whole milliseconds since 1970.
    public static var milliseconds: Int64 { now.nanoseconds / 1_000_000 }
}
