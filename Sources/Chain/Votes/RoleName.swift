/// A node's part in its chain.
public enum RoleName: String, Sendable, CaseIterable {
    case leader, validator, sentry
}
