/// Which of a worker's waiting jobs begins first.
public enum JobPriority: String, CaseIterable, Sendable {
    case high, low
}
