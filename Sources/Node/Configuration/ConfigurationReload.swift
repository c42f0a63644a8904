/// What a running node takes over of a configuration that its operator has changed.
public struct ConfigurationReload: Sendable, Equatable {
    /// The configuration in force from now on.
    public private(set) var configuration: Configuration
    /// The paths of the keys whose new values it has, in the order of the table.
    public private(set) var taken: [String] = []
    /// The paths of the keys whose new values wait for a restart.
    public private(set) var waiting: [String] = []

    /// Compares the configuration in force with a new one.
    init(from running: Configuration, to new: Configuration) {
        configuration = running
        for key in Configuration.keys {
            let value = key.read(new)
            guard !key.read(running).literal.utf8.elementsEqual(value.literal.utf8) else { continue }
            // The table's own text of a valid value is valid.
            if key.isReloadable, key.write(&configuration, value) == nil {
                taken.append(key.path)
            } else {
                waiting.append(key.path)
            }
        }
    }
}
