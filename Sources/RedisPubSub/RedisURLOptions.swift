/// What stands behind the `?` of a ``RedisURL``, named as the parameters of redis-py's `from_url`.
///
/// | option | value | meaning |
/// |---|---|---|
/// | `username`, `password`, `db` | text, text, number | as in front of the host and behind it |
/// | `client_name` | printable ASCII without spaces | `CLIENT SETNAME` |
/// | `socket_connect_timeout` | seconds | bounds connecting, TLS and login together; 5 by default |
/// | `socket_timeout` | seconds | bounds the wait for the answer to a command; 2 by default |
/// | `health_check_interval` | seconds | a silent connection is sent a PING after so long; 5 by default |
/// | `socket_keepalive` | true or false | `SO_KEEPALIVE` |
/// | `protocol` | 2 | RESP2 is what we speak |
/// | `ssl` | true or false | TLS for the master, with `+sentinel` |
/// | `ssl_…` | | ``RedisTLS`` |
/// | `sentinel_username`, `sentinel_password`, `sentinel_ssl` | | for the sentinels themselves; not redis-py's |
package struct RedisURLOptions: Hashable, Sendable {
    var user: [UInt8]?
    var password: [UInt8]?
    var database: Int?
    package internal(set) var clientName: String?
    package internal(set) var connectTimeout: Duration?
    package internal(set) var commandTimeout: Duration?
    package internal(set) var pingInterval: Duration?
    var isKeptAlive = false
    /// nil without TLS.
    package internal(set) var tls: RedisTLS?
    var sentinelTLS: RedisTLS?
    var sentinelUser: [UInt8]?
    var sentinelPassword: [UInt8]?

    static let names = [
        "client_name", "db", "health_check_interval", "password", "protocol", "sentinel_password", "sentinel_ssl",
        "sentinel_username", "socket_connect_timeout", "socket_keepalive", "socket_timeout", "ssl", "ssl_ca_certs",
        "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile", "ssl_min_version",
        "ssl_password", "ssl_server_name", "username",
    ]

    init(_ query: ArraySlice<UInt8>?, scheme: RedisURL.Scheme) throws(RedisURLError) {
        var tls = RedisTLS()
        var (hasTLS, sentinelHasTLS) = (scheme.hasTLS, scheme.hasTLS)
        var firstTLSOption: String?
        var seen: Set<String> = []
        let query = query ?? []
        for option in query.split(separator: UInt8(ascii: "&")) {
            let (key, raw) = PercentEncoding.cut(option, atFirst: UInt8(ascii: "="))
            let name = String(decoding: key, as: UTF8.self)
            guard Self.names.contains(name) else { throw .unknownOption(named: key, in: query) }
            guard seen.insert(name).inserted else { throw .twice(name == "db" ? "database" : "option \(name)") }
            let bytes = PercentEncoding.decode(raw ?? [], plusIsSpace: true)
            guard !bytes.isEmpty else {
                if name == "db" { throw .invalidDatabase }
                throw .option(name, "has no value")
            }
            let value = String(decoding: bytes, as: UTF8.self)
            if name.hasPrefix("ssl_") {
                try tls.take(name, value)
                firstTLSOption = firstTLSOption ?? name
                continue
            }
            switch name {
            case "ssl": hasTLS = try Self.boolean(value, of: name)
            case "sentinel_ssl": sentinelHasTLS = try Self.boolean(value, of: name)
            default: try take(name, value, bytes)
            }
        }
        try Self.check(seen, scheme: scheme)
        self.tls = hasTLS ? tls : nil
        sentinelTLS = sentinelHasTLS && scheme.kind == .sentinel ? tls : nil
        if let firstTLSOption, self.tls == nil, sentinelTLS == nil { throw .option(firstTLSOption, "needs rediss://") }
        if (tls.certificateFile == nil) != (tls.keyFile == nil) {
            throw .option("ssl_certfile", "and ssl_keyfile go together")
        }
    }

    /// What only goes with some schemes.
    private static func check(_ seen: Set<String>, scheme: RedisURL.Scheme) throws(RedisURLError) {
        for name in ["sentinel_password", "sentinel_ssl", "sentinel_username"]
        where seen.contains(name) && scheme.kind != .sentinel { throw .option(name, "needs redis+sentinel://") }
        if seen.contains("ssl"), scheme.kind != .sentinel {
            throw .option("ssl", "needs redis+sentinel://; otherwise write rediss://")
        }
    }

    private mutating func take(_ name: String, _ value: String, _ bytes: [UInt8]) throws(RedisURLError) {
        switch name {
        case "username": user = bytes
        case "password": password = bytes
        case "db": database = try Self.database(bytes[...])
        case "client_name":
            guard bytes.count <= 256, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw .option(name, "is at most 256 printable ASCII characters without spaces")
            }
            clientName = value
        case "socket_connect_timeout": connectTimeout = try Self.seconds(value, of: name)
        case "socket_timeout": commandTimeout = try Self.seconds(value, of: name)
        case "health_check_interval": pingInterval = try Self.seconds(value, of: name)
        case "socket_keepalive": isKeptAlive = try Self.boolean(value, of: name)
        case "protocol":
            guard value == "2" else {
                throw .option(name, "can only be 2: RESP2 is what is spoken here, and every server understands it")
            }
        case "sentinel_username": sentinelUser = bytes
        default: sentinelPassword = bytes
        }
    }

    static func database(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> Int {
        guard let number = PercentEncoding.decimal(PercentEncoding.decode(bytes), maximum: Int(Int32.max)) else {
            throw .invalidDatabase
        }
        return number
    }

    private static func seconds(_ value: String, of name: String) throws(RedisURLError) -> Duration {
        guard let seconds = Double(value), seconds >= 0.05, seconds <= 3_600 else {
            throw .option(name, "is no number of seconds from 0.05 to 3600")
        }
        return .milliseconds(Int64((seconds * 1_000).rounded()))
    }

    static func boolean(_ value: String, of name: String) throws(RedisURLError) -> Bool {
        switch value.lowercased() {
        case "true", "t", "yes", "y", "1": return true
        case "false", "f", "no", "n", "0": return false
        default: throw .option(name, "is neither true nor false")
        }
    }
}
