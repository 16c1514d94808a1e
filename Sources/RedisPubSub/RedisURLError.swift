/// An error in a Redis URL, as one sentence that says what to write instead and repeats nothing secret.
package struct RedisURLError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    static let supported =
        "redis://, rediss:// (TLS), unix://, redis+sentinel:// and redis+cluster:// are supported, and valkey for redis"

    static let noScheme = RedisURLError(description: "a Redis URL begins with its scheme: \(supported)")
    static let fragment = RedisURLError(
        description: "the # in the Redis URL cuts it short: write # in a password as %23")
    static let invalidHost = RedisURLError(
        description: "the host of the Redis URL is not valid (IPv6 stands in brackets, as in redis://[::1]:6379/0)")
    static let severalHosts = RedisURLError(
        description: "only redis+sentinel:// and redis+cluster:// name several hosts")
    static let tooManyHosts = RedisURLError(description: "the Redis URL names more than 64 hosts")
    static let invalidPort = RedisURLError(
        description: "the port of the Redis URL is no number from 1 to 65535 (write / in a password as %2F)")
    static let invalidDatabase = RedisURLError(
        description: "the database of the Redis URL is no number (write / in a password as %2F)")
    static let invalidService = RedisURLError(
        description: "a redis+sentinel:// URL ends with /db/service, as in redis+sentinel://h1,h2/0/mymaster"
            + " (write / in a password as %2F)")
    static let clusterDatabase = RedisURLError(description: "a cluster has only database 0")
    static let relativeSocketPath = RedisURLError(
        description: "a unix:// URL names an absolute path, as in unix:///run/redis/redis.sock")
    static let socketPathTooLong = RedisURLError(description: "the socket path of the Redis URL exceeds 107 bytes")

    /// - Parameter problem: never the value, which may be a secret.
    static func option(_ name: String, _ problem: String) -> RedisURLError {
        RedisURLError(description: "the option \(name) of the Redis URL \(problem)")
    }

    static func unreadable(_ option: String, _ path: String, _ reason: String) -> RedisURLError {
        RedisURLError(description: "the option \(option) of the Redis URL: \(path): \(reason)")
    }

    static func passwordFile(_ path: String, _ reason: String) -> RedisURLError {
        RedisURLError(description: "the file with the password of Redis: \(path): \(reason)")
    }

    static func unsupportedScheme(_ scheme: String) -> RedisURLError {
        // Only a text that looks like a scheme is repeated: the text before the colon may be a password.
        let isPlain = scheme.utf8.count <= 16 && scheme.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2B }
        let named = isPlain && !scheme.isEmpty ? "the scheme \(scheme)://" : "the scheme"
        return RedisURLError(description: "\(named) of the Redis URL is not supported: \(supported)")
    }

    static func unknownOption(named name: ArraySlice<UInt8>, in query: ArraySlice<UInt8>) -> RedisURLError {
        // Only a text that looks like an option is repeated: after an unescaped ? it may be the rest of a password.
        let isPlain = !query.contains(UInt8(ascii: "@")) && name.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F }
        guard isPlain, !name.isEmpty else {
            return RedisURLError(description: "unknown option in the Redis URL (write ? in a password as %3F)")
        }
        let text = String(decoding: name, as: UTF8.self)
        var sentence = "unknown option \(text) in the Redis URL"
        // Letters that are missing or too many; a wrong letter is both.
        let near = (RedisURLOptions.names + RedisURLOptions.namesWithoutEffect.sorted()).map {
            (name.prefix(64).difference(from: Array($0.utf8)).count, $0)
        }.min { $0.0 < $1.0 }
        if let near, near.0 <= min(4, name.count / 2) {
            sentence += ", did you mean \(near.1)?"
        } else {
            sentence += "."
        }
        sentence += " Known are \(RedisURLOptions.names.joined(separator: ", "))"
        return RedisURLError(description: sentence + " (write ? in a password as %3F)")
    }
}
