import CShims

/// The processors of this machine.
public enum Processors {
    /// The number that this process may use, at least 1.
    public static var available: Int { Int(apus_processor_count()) }
}
