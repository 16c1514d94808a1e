/// What is wrong with a Redis URL, as one sentence that says what to write instead and repeats nothing secret.
package struct RedisURLError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    static let supported = "redis:// and unix:// are supported"

    static let noScheme = RedisURLError(description: "a Redis URL begins with its scheme: \(supported)")
    static let fragment = RedisURLError(description: "a Redis URL has no fragment: write # in a password as %23")
    static let invalidHost = RedisURLError(
        description: "the host of the Redis URL is not valid (IPv6 stands in brackets, as in redis://[::1]:6379/0)")
    static let invalidPort = RedisURLError(
        description: "the port of the Redis URL is no number from 1 to 65535 (write / in a password as %2F)")
    static let invalidDatabase = RedisURLError(
        description: "the database of the Redis URL is no number (write / in a password as %2F)")
    static let twoDatabases = RedisURLError(description: "the Redis URL names its database twice")
    static let relativeSocketPath = RedisURLError(
        description: "a unix:// URL names an absolute path, as in unix:///run/redis/redis.sock")
    static let socketPathTooLong = RedisURLError(description: "the socket path of the Redis URL exceeds 107 bytes")

    static func unsupportedScheme(_ scheme: String) -> RedisURLError {
        // Only what looks like a scheme is repeated: a password may stand before a colon too.
        let isPlain = scheme.utf8.count <= 16 && scheme.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2B }
        let named = isPlain && !scheme.isEmpty ? "the scheme \(scheme)://" : "the scheme"
        return RedisURLError(description: "\(named) of the Redis URL is not supported yet: \(supported)")
    }

    static func unknownOption(named name: ArraySlice<UInt8>, in query: ArraySlice<UInt8>) -> RedisURLError {
        // An unescaped ? in a password puts its rest here: repeat only what looks like an option.
        let isPlain = !query.contains(UInt8(ascii: "@")) && name.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F }
        let named = isPlain && !name.isEmpty ? " \(String(decoding: name, as: UTF8.self))" : ""
        return RedisURLError(
            description: "unknown option\(named) in the Redis URL: only db is known (write ? in a password as %3F)")
    }
}
