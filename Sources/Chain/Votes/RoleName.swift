/// A node's part in its chain.
public enum RoleName: String, Sendable {
    case leader, validator, sentry
}
