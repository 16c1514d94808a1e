import Glibc

/// The URL of a Redis server: its address, login and options.
///
///     redis://[[user]:password@]host[:port][/db][?options]                     one server; rediss:// with TLS
///     unix://[[user]:password@]/path/to/socket[?db=N]                          one server of this machine
///     redis+sentinel://[[user]:password@]host[:port],…[/db[/service]]          the master that sentinels name
///     redis+cluster://[[user]:password@]host[:port],…                          any node of a cluster
///
/// `valkey` can be written for `redis` everywhere, and the `s` of TLS belongs to that word: `valkeys+sentinel://`. URLs are read
/// as by redis-py's `from_url` and python-socketio's `parse_redis_sentinel_url`: the host defaults to `localhost`, the port to
/// 6379, that of sentinels to 26379, db to 0; user, password, host and path are percent-decoded (a `%` without two hex digits
/// is kept); an IPv6 address is written in brackets. ``RedisURLOptions`` lists the options. The option `db` overrides the path;
/// a user and a password before the host override options; a fragment after the path has no effect. Unlike there, an unknown
/// option and a db that is no number are errors.
package struct RedisURL: Hashable, Sendable {
    /// The address of one server.
    package enum Endpoint: Hashable, Sendable {
        case tcp(host: String, port: Int)
        case unixSocket(path: String)
    }

    /// The kind of servers behind the endpoints.
    package enum Topology: Hashable, Sendable {
        case single
        /// The endpoints are sentinels. They name the master of this service; nil stands for a service named as our channel.
        case sentinel(service: String?)
        /// The endpoints are nodes, not necessarily all.
        case cluster
    }

    package private(set) var topology: Topology
    /// Servers, sentinels or nodes; at least one.
    package let endpoints: [Endpoint]
    /// The name of the ACL user; nil for the default user.
    package internal(set) var user: [UInt8]?
    /// If user and password are nil, no AUTH is sent.
    package private(set) var password: [UInt8]?
    /// The number of the database that `GET` reads; pub/sub has no databases.
    package private(set) var database: Int
    package private(set) var options: RedisURLOptions

    /// The same URL, with this service if it names none: python-socketio asks sentinels for a service named as the channel.
    package func namingService(_ channel: String?) -> RedisURL {
        guard case .sentinel(nil) = topology, let channel else { return self }
        var url = self
        url.topology = .sentinel(service: channel)
        return url
    }

    /// The first of the endpoints.
    package var endpoint: Endpoint { endpoints[0] }

    /// - Throws: ``RedisURLError``. Its sentence never repeats a part that may hold the password.
    package init(_ text: String) throws(RedisURLError) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            throw .noScheme
        }
        let scheme = try Scheme(String(decoding: bytes[..<colon], as: UTF8.self).lowercased())
        let (server, fragment) = PercentEncoding.cut(bytes[(colon + 3)...], atFirst: UInt8(ascii: "#"))
        // A # before the path belongs to the password.
        guard fragment.map({ server.contains(UInt8(ascii: "/")) && !$0.contains(UInt8(ascii: "@")) }) ?? true else {
            throw .fragment
        }
        let (location, query) = PercentEncoding.cut(server, atFirst: UInt8(ascii: "?"))
        let slash = location.firstIndex(of: UInt8(ascii: "/")) ?? location.endIndex
        let (authority, path) = (location[..<slash], location[slash...])
        // At the last `@`, as Python's urlsplit does: passwords are often pasted unescaped.
        let at = authority.lastIndex(of: UInt8(ascii: "@"))
        let hosts = at.map { authority[($0 + 1)...] } ?? authority
        let (user, password) = Self.credentials(authority[..<(at ?? authority.startIndex)])
        var options = try RedisURLOptions(query, scheme: scheme)
        if fragment != nil {
            options.notes.append(
                "the text after # in the Redis URL has no effect (write # in a password as %23)")
        }
        let parts = try Self.path(path, scheme: scheme)

        switch scheme.kind {
        case .unix:
            guard hosts.isEmpty else { throw .relativeSocketPath }
            if !path.isEmpty { options.note("path", overriddenBy: "path", isGiven: options.path != nil) }
            endpoints = [.unixSocket(path: try Self.socketPath(path.isEmpty ? (options.path ?? [])[...] : path))]
            topology = .single
        case .single:
            guard !hosts.contains(UInt8(ascii: ",")) else { throw .severalHosts }
            endpoints = [try Self.server(hosts, &options)]
            topology = .single
        case .sentinel:
            endpoints = try Self.hostsAndPorts(hosts, defaultPort: 26_379)
            topology = .sentinel(service: parts.service)
        case .cluster:
            endpoints = try Self.hostsAndPorts(hosts, defaultPort: 6379)
            topology = .cluster
        }
        if let inPath = parts.database, let option = options.database, inPath != option {
            options.notes.append("the Redis URL names two databases: the option db counts, not its path")
        }
        database = options.database ?? parts.database ?? 0
        if case .cluster = topology, database != 0 { throw .clusterDatabase }
        if user != nil { options.note("username", overriddenBy: "user", isGiven: options.user != nil) }
        if password != nil { options.note("password", overriddenBy: "password", isGiven: options.password != nil) }
        self.user = user ?? options.user
        self.password = password ?? options.password ?? (self.user == nil ? nil : [])
        self.options = options
    }

    /// The same server with the password in the first line of a file; `-` stands for standard input.
    package func withPassword(inFile path: String) throws(RedisURLError) -> RedisURL {
        guard let file = unsafe fopen(path == "-" ? "/dev/stdin" : path, "re") else {
            throw unsafe .passwordFile(path, String(cString: strerror(errno)))
        }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        guard unsafe ferror(file) == 0 else { throw unsafe .passwordFile(path, String(cString: strerror(errno))) }
        let password = Array(bytes.prefix(count).prefix { $0 != 0x0A && $0 != 0x0D })
        guard !password.isEmpty else { throw .passwordFile(path, "there is no password in its first line") }
        var url = self
        url.password = password
        return url
    }

    /// The URL for connections to the sentinels, with their own login. As in redis-py, the user and password of the URL belong to
    /// the servers that the sentinels watch.
    func forSentinels() -> RedisURL {
        var url = self
        (url.topology, url.database, url.options.tls) = (.single, 0, options.sentinelTLS)
        url.user = options.sentinelUser
        url.password = options.sentinelPassword ?? url.user.map { _ in [] }
        return url
    }

    private static func credentials(_ userInfo: ArraySlice<UInt8>) -> (user: [UInt8]?, password: [UInt8]?) {
        let (name, secret) = PercentEncoding.cut(userInfo, atFirst: UInt8(ascii: ":"))
        let (user, password) = (PercentEncoding.decode(name), PercentEncoding.decode(secret ?? []))
        return (user.isEmpty ? nil : user, password.isEmpty ? nil : password)
    }

    private static func hostsAndPorts(
        _ bytes: ArraySlice<UInt8>, defaultPort: Int
    ) throws(RedisURLError) -> [Endpoint] {
        let hosts = bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        var endpoints: [Endpoint] = []
        for host in hosts {
            guard !host.isEmpty || hosts.count == 1 else { throw .invalidHost }
            endpoints.append(try hostAndPort(host, defaultPort: defaultPort))
        }
        guard endpoints.count <= 64 else { throw .tooManyHosts }
        return endpoints
    }

    private static func hostAndPort(_ bytes: ArraySlice<UInt8>, defaultPort: Int) throws(RedisURLError) -> Endpoint {
        var host = bytes
        var port: ArraySlice<UInt8> = []
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { throw .invalidHost }
            host = bytes[(bytes.startIndex + 1)..<end]
            let rest = bytes[(end + 1)...]
            guard rest.isEmpty || rest.first == UInt8(ascii: ":"), !host.isEmpty else { throw .invalidHost }
            port = rest.dropFirst()
        } else if let colon = bytes.lastIndex(of: UInt8(ascii: ":")) {
            host = bytes[..<colon]
            port = bytes[(colon + 1)...]
            guard !host.contains(UInt8(ascii: ":")) else { throw .invalidHost }
        }
        let name = PercentEncoding.decode(host)
        guard !name.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { throw .invalidHost }
        let number = port.isEmpty ? defaultPort : PercentEncoding.decimal(port, maximum: 65_535)
        guard let number, number > 0 || port.isEmpty else { throw .invalidPort }
        return .tcp(host: name.isEmpty ? "localhost" : String(decoding: name, as: UTF8.self), port: number)
    }

    /// The one server. Options may give the host and port that the URL doesn't.
    private static func server(
        _ bytes: ArraySlice<UInt8>, _ options: inout RedisURLOptions
    ) throws(RedisURLError) -> Endpoint {
        guard case .tcp(var host, var port) = try hostAndPort(bytes, defaultPort: 0) else { throw .invalidHost }
        let hasHost = !bytes.isEmpty && bytes.first != UInt8(ascii: ":")
        if hasHost { options.note("host", overriddenBy: "host", isGiven: options.host != nil) }
        if port != 0 { options.note("port", overriddenBy: "port", isGiven: options.port != nil) }
        if !hasHost, let name = options.host { host = String(decoding: name, as: UTF8.self) }
        if port == 0 {
            guard let number = options.port.map({ PercentEncoding.decimal($0, maximum: 65_535) }) ?? 6379, number > 0
            else {
                throw .invalidPort
            }
            port = number
        }
        guard !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { throw .invalidHost }
        return .tcp(host: host, port: port)
    }

    private static func socketPath(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> String {
        let path = PercentEncoding.decode(bytes)
        guard path.count > 1, !path.contains(0) else { throw .relativeSocketPath }
        // sun_path of sockaddr_un: 108 bytes with the final NUL.
        guard path.count < 108 else { throw .socketPathTooLong }
        return String(decoding: path, as: UTF8.self)
    }

    /// `/db` and, for sentinels, `/db/service`; both may be empty.
    private static func path(
        _ path: ArraySlice<UInt8>, scheme: Scheme
    ) throws(RedisURLError) -> (database: Int?, service: String?) {
        guard scheme.kind != .unix, path.count > 1 else { return (nil, nil) }
        guard scheme.kind == .sentinel else {
            // As redis-py: `/0/` is written too.
            var number = path.drop { $0 == UInt8(ascii: "/") }
            while number.last == UInt8(ascii: "/") { number.removeLast() }
            return (number.isEmpty ? nil : try RedisURLOptions.database(number), nil)
        }
        let (number, service) = PercentEncoding.cut(path.dropFirst(), atFirst: UInt8(ascii: "/"))
        let name = service.map { String(decoding: PercentEncoding.decode($0), as: UTF8.self) } ?? ""
        let isNumber = number.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, !name.contains("/") else { throw .invalidService }
        return (number.isEmpty ? nil : try RedisURLOptions.database(number), name.isEmpty ? nil : name)
    }
}

extension RedisURL {
    /// The part before `://`.
    struct Scheme: Hashable {
        enum Kind { case single, unix, sentinel, cluster }
        let kind: Kind
        let hasTLS: Bool

        init(_ text: String) throws(RedisURLError) {
            let words = text.split(separator: "+", omittingEmptySubsequences: false)
            hasTLS = words[0] == "rediss" || words[0] == "valkeys"
            guard hasTLS || words[0] == "redis" || words[0] == "valkey" else {
                guard text == "unix" else { throw .unsupportedScheme(text) }
                kind = .unix
                return
            }
            switch words.dropFirst() {
            case []: kind = .single
            case ["sentinel"]: kind = .sentinel
            case ["cluster"]: kind = .cluster
            default: throw .unsupportedScheme(text)
            }
        }
    }
}

extension RedisURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL for logs: without options, and with `***` in place of the password.
    package var description: String {
        var text = options.tls == nil ? "redis" : "rediss"
        switch (topology, endpoint) {
        case (_, .unixSocket): text = "unix"
        case (.sentinel, _): text += "+sentinel"
        case (.cluster, _): text += "+cluster"
        case (.single, _): break
        }
        text += "://"
        if let user { text += String(decoding: user, as: UTF8.self) }
        if password != nil { text += ":***" }
        if user != nil || password != nil { text += "@" }
        text += endpoints.map(\.description).joined(separator: ",")
        switch (topology, endpoint) {
        case (_, .unixSocket): text += database == 0 ? "" : "?db=\(database)"
        case (.sentinel(let service), _): text += "/\(database)" + (service.map { "/\($0)" } ?? "")
        case (.single, _): text += "/\(database)"
        case (.cluster, _): break
        }
        return text
    }

    package var debugDescription: String { description }

    /// Empty, so that `dump` doesn't show the password either.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension RedisURL.Endpoint: CustomStringConvertible {
    /// `host:port` or the path.
    package var description: String {
        switch self {
        case .tcp(let host, let port): (host.utf8.contains(0x3A) ? "[\(host)]" : host) + ":\(port)"
        case .unixSocket(let path): path
        }
    }

    /// Reads `host:port` as written in MOVED and in `CLUSTER NODES`: an IPv6 address has no brackets there, and an empty host
    /// stands for the server that was asked.
    init?(_ text: Substring, askedAt endpoint: RedisURL.Endpoint) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.isEmpty || host == "?" {
            if case .tcp(let asked, _) = endpoint { host = asked } else { host = "localhost" }
        }
        self = .tcp(host: host, port: port)
    }
}
