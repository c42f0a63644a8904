import ArgumentParser

/// The command line of the node.
@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus", abstract: "A Kwil-style network node.")
}
