/// The options after the `?` of a ``RedisURL``, named as the parameters of redis-py's `from_url`.
///
/// | option | value | meaning |
/// |---|---|---|
/// | `username`, `password`, `db` | text, text, number | as before the host and after it |
/// | `host`, `port`, `path` | text, number, path | the server, if the URL names none |
/// | `client_name` | printable ASCII without spaces | `CLIENT SETNAME` |
/// | `socket_connect_timeout` | seconds | bounds connecting, TLS and login together; 5 by default |
/// | `socket_timeout` | seconds | bounds the wait for the reply to a command; 2 by default |
/// | `health_check_interval` | seconds | PING is sent on a connection that has been silent for this long; 5 by default |
/// | `socket_keepalive` | true or false | `SO_KEEPALIVE` |
/// | `protocol` | 2, 3 | only RESP2 is spoken |
/// | `ssl` | true or false | TLS for the master, with `+sentinel` |
/// | `ssl_…` | | ``RedisTLS`` |
/// | `sentinel_username`, `sentinel_password`, `sentinel_ssl` | | for the sentinels themselves; unknown to redis-py |
///
/// Every URL that redis-py accepts is accepted: further options of redis-py, and values without a meaning here, are noted. As
/// there, an option without a value counts as not given, and of an option given twice the first counts.
package struct RedisURLOptions: Hashable, Sendable {
    var user: [UInt8]?
    var password: [UInt8]?
    var database: Int?
    var host: [UInt8]?
    var port: [UInt8]?
    var path: [UInt8]?
    package internal(set) var clientName: String?
    package internal(set) var connectTimeout: Duration?
    package internal(set) var commandTimeout: Duration?
    package internal(set) var pingInterval: Duration?
    var isKeptAlive = false
    /// Nil without TLS.
    package internal(set) var tls: RedisTLS?
    var sentinelTLS: RedisTLS?
    var sentinelUser: [UInt8]?
    var sentinelPassword: [UInt8]?
    /// One sentence for each option that has no effect, or another one than its value says; without values.
    package internal(set) var notes: [String] = []

    /// The options that have an effect, besides those of ``RedisTLS``.
    private enum Option: String, CaseIterable {
        case username, password, host, port, path, ssl
        case database = "db"
        case clientName = "client_name"
        case connectTimeout = "socket_connect_timeout"
        case commandTimeout = "socket_timeout"
        case pingInterval = "health_check_interval"
        case keepAlive = "socket_keepalive"
        case respVersion = "protocol"
        case sentinelUsername = "sentinel_username"
        case sentinelPassword = "sentinel_password"
        case sentinelSSL = "sentinel_ssl"
    }

    /// The names of the options that have an effect, in order.
    static let names = (Option.allCases.map(\.rawValue) + RedisTLS.Option.allCases.map(\.rawValue)).sorted()

    /// The options of redis-py 3 to 8 and valkey-py, asyncio's included, about Python, its pool of connections, or the repetition
    /// of commands.
    static let namesWithoutEffect: Set<String> = [
        "auto_close_connection_pool", "cache", "cache_config", "cache_factory", "charset", "command_packer",
        "connection_class", "connection_pool", "connection_pool_class", "credential_provider", "decode_responses",
        "driver_info", "encoder_class", "encoding", "encoding_errors", "errors", "event_dispatcher", "himport_registry",
        "legacy_responses", "lib_name", "lib_version", "maint_notifications_config", "maint_notifications_pool_handler",
        "maintenance_notification_hash", "maintenance_state", "max_connections", "orig_host_address",
        "orig_socket_connect_timeout", "orig_socket_timeout", "oss_cluster_maint_notifications_handler", "parser_class",
        "queue_class", "redis_connect_func", "retry", "retry_on_error", "retry_on_timeout", "single_connection_client",
        "socket_keepalive_options", "socket_read_size", "socket_type", "ssl_ciphers", "ssl_exclude_verify_flags",
        "ssl_include_verify_flags", "ssl_ocsp_context", "ssl_ocsp_expected_cert", "ssl_validate_ocsp",
        "ssl_validate_ocsp_stapled", "timeout", "unix_socket_path", "valkey_connect_func",
    ]

    init(_ query: ArraySlice<UInt8>?, scheme: RedisURL.Scheme) throws(RedisURLError) {
        var tls = RedisTLS()
        var uses = (tls: scheme.hasTLS, sentinelTLS: scheme.hasTLS)
        var firstTLSOption: String?
        var seen: Set<String> = []
        var ineffective: [String] = []
        let query = query ?? []
        for part in query.split(separator: UInt8(ascii: "&")) {
            let (encodedName, raw) = PercentEncoding.cut(part, atFirst: UInt8(ascii: "="))
            let key = PercentEncoding.decode(encodedName, plusIsSpace: true)
            let name = String(decoding: key, as: UTF8.self)
            let (option, tlsOption) = (Option(rawValue: name), RedisTLS.Option(rawValue: name))
            let hasEffect = option != nil || tlsOption != nil
            guard hasEffect || Self.namesWithoutEffect.contains(name) else {
                throw .unknownOption(named: key[...], in: query)
            }
            let bytes = PercentEncoding.decode(raw ?? [], plusIsSpace: true)
            guard hasEffect, !bytes.isEmpty else {
                if !ineffective.contains(name) { ineffective.append(name) }
                continue
            }
            guard seen.insert(name).inserted else {
                notes.append("the Redis URL has the option \(name) twice: the first one counts")
                continue
            }
            let value = String(decoding: bytes, as: UTF8.self)
            if let option { try take(option, value, bytes, &uses) }
            if let tlsOption {
                if let note = try tls.take(tlsOption, value) { notes.append(note) }
                firstTLSOption = firstTLSOption ?? name
            }
        }
        if !ineffective.isEmpty {
            let all = ineffective.joined(separator: ", ")
            notes.insert(
                ineffective.count == 1
                    ? "the option \(all) of the Redis URL has no effect"
                    : "these options of the Redis URL have no effect: \(all)", at: 0)
        }
        try Self.check(seen, scheme: scheme)
        self.tls = uses.tls ? tls : nil
        sentinelTLS = uses.sentinelTLS && scheme.kind == .sentinel ? tls : nil
        if let firstTLSOption, self.tls == nil, sentinelTLS == nil { throw .option(firstTLSOption, "needs rediss://") }
        if (tls.certificateFile == nil) != (tls.keyFile == nil) {
            throw .option("ssl_certfile", "and ssl_keyfile go together")
        }
    }

    /// Adds a note if an option is given that another part of the URL overrides.
    mutating func note(_ option: String, overriddenBy part: String, isGiven: Bool) {
        if isGiven {
            notes.append("the option \(option) of the Redis URL has no effect: the URL names its \(part) itself")
        }
    }

    /// Checks options that only some schemes have.
    private static func check(_ seen: Set<String>, scheme: RedisURL.Scheme) throws(RedisURLError) {
        for name in ["sentinel_password", "sentinel_ssl", "sentinel_username"]
        where seen.contains(name) && scheme.kind != .sentinel { throw .option(name, "needs redis+sentinel://") }
        for name in ["host", "port"] where seen.contains(name) && scheme.kind != .single {
            throw .option(name, "needs redis:// or rediss://")
        }
        if seen.contains("path"), scheme.kind != .unix { throw .option("path", "needs unix://") }
        if seen.contains("ssl"), scheme.kind != .sentinel {
            throw .option("ssl", "needs redis+sentinel://; otherwise write rediss://")
        }
    }

    private mutating func take(
        _ option: Option, _ value: String, _ bytes: [UInt8], _ uses: inout (tls: Bool, sentinelTLS: Bool)
    ) throws(RedisURLError) {
        let name = option.rawValue
        switch option {
        case .username: user = bytes
        case .password: password = bytes
        case .database: database = try Self.database(bytes[...])
        case .host: host = bytes
        case .port: port = bytes
        case .path: path = bytes
        case .clientName:
            guard bytes.count <= 256, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw .option(name, "is at most 256 printable ASCII characters without spaces")
            }
            clientName = value
        case .connectTimeout: connectTimeout = try seconds(value, of: name)
        case .commandTimeout: commandTimeout = try seconds(value, of: name)
        case .pingInterval:
            guard let number = Double(value), number <= 0 else {
                pingInterval = try seconds(value, of: name)
                break
            }
            notes.append("the option health_check_interval of the Redis URL can't be turned off: it stays at 5 seconds")
        case .keepAlive: isKeptAlive = try Self.boolean(value, of: name)
        case .respVersion:
            guard value == "2" || value == "3" else { throw .option(name, "is neither 2 nor 3") }
            if value == "3" {
                notes.append("the option protocol of the Redis URL has no effect: RESP2 is spoken, as every server can")
            }
        case .ssl: uses.tls = try Self.boolean(value, of: name)
        case .sentinelUsername: sentinelUser = bytes
        case .sentinelPassword: sentinelPassword = bytes
        case .sentinelSSL: uses.sentinelTLS = try Self.boolean(value, of: name)
        }
    }

    static func database(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> Int {
        guard let number = PercentEncoding.decimal(PercentEncoding.decode(bytes), maximum: Int(Int32.max)) else {
            throw .invalidDatabase
        }
        return number
    }

    private mutating func seconds(_ value: String, of name: String) throws(RedisURLError) -> Duration {
        guard let seconds = Double(value), seconds > 0 else {
            throw .option(name, "is no number of seconds from 0.05 to 3600")
        }
        let bounded = min(max(seconds, 0.05), 3_600)
        if bounded != seconds {
            notes.append("the option \(name) of the Redis URL is taken as \(bounded) seconds, the nearest possible")
        }
        return .milliseconds(Int64((bounded * 1_000).rounded()))
    }

    static func boolean(_ value: String, of name: String) throws(RedisURLError) -> Bool {
        switch value.lowercased() {
        case "true", "t", "yes", "y", "on", "1": return true
        case "false", "f", "no", "n", "off", "0": return false
        default: throw .option(name, "is neither true nor false")
        }
    }
}
