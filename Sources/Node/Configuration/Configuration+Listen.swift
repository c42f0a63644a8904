import Multiformats
import Reactor

extension Configuration {
    /// Returns the addresses to listen on, with names resolved. An error names the key and the text.
    public static func resolve(
        _ texts: [String], of key: String
    ) async throws(NodeError) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for text in texts {
            do {
                let place = try HostPort(text)
                guard let address = try await Resolver.resolve(host: place.host, port: place.port).first
                else { throw ReactorError.nameNotResolved(place.host) }
                addresses.append(address)
            } catch let error as HostPort.Failure {
                throw .failed("\(key): \"\(text)\" \(error)")
            } catch {
                throw .failed("\(key): \"\(text)\": \(error)")
            }
        }
        return addresses
    }
}
