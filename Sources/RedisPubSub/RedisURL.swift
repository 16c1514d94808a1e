/// Where a Redis server is and how to log in, as one text.
///
///     redis://[[user]:password@]host[:port][/db][?db=N]
///     unix://[[user]:password@]/path/to/socket[?db=N]
///
/// The spelling is that of redis-py's `from_url`: host defaults to `localhost`, port to 6379, db to 0; user, password, host
/// and path are percent-decoded (a `%` that no two hex digits follow stays); an IPv6 address stands in brackets. Unlike
/// there, what has no effect is an error: unknown options, a db that is no number, a fragment.
package struct RedisURL: Hashable, Sendable {
    /// How the server is reached.
    package enum Endpoint: Hashable, Sendable {
        case tcp(host: String, port: Int)
        case unixSocket(path: String)
    }

    package let endpoint: Endpoint
    /// The ACL user's name; nil logs in as the default user.
    package let user: [UInt8]?
    /// nil, together with a nil user, means that no AUTH is sent.
    package let password: [UInt8]?
    /// The number of the database that `GET` reads; pub/sub knows no databases.
    package let database: Int

    /// - Throws: ``RedisURLError``, whose sentence never repeats a part that may hold the password.
    package init(_ text: String) throws(RedisURLError) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            throw .noScheme
        }
        let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        guard scheme == "redis" || scheme == "unix" else { throw .unsupportedScheme(scheme) }
        guard !bytes.contains(UInt8(ascii: "#")) else { throw .fragment }

        let (location, query) = Self.cut(bytes[(colon + 3)...], atFirst: UInt8(ascii: "?"))
        let slash = location.firstIndex(of: UInt8(ascii: "/")) ?? location.endIndex
        let (authority, path) = (location[..<slash], location[slash...])
        let (userInfo, hostAndPort) = Self.splitAuthority(authority)
        (user, password) = Self.credentials(userInfo)

        let option = try Self.databaseOption(query)
        if scheme == "unix" {
            guard hostAndPort.isEmpty else { throw .relativeSocketPath }
            endpoint = .unixSocket(path: try Self.socketPath(path))
            database = option ?? 0
        } else {
            let (host, port) = try Self.hostAndPort(hostAndPort)
            endpoint = .tcp(host: host, port: port)
            let inPath = path.count > 1 ? try Self.database(path.dropFirst()) : nil
            if let inPath, let option, inPath != option { throw .twoDatabases }
            database = option ?? inPath ?? 0
        }
    }

    private init(endpoint: Endpoint, user: [UInt8]?, password: [UInt8]?, database: Int) {
        self.endpoint = endpoint
        self.user = user
        self.password = password
        self.database = database
    }

    /// The same server with a password that is kept elsewhere, in a file for instance.
    package func withPassword(_ password: [UInt8]) -> RedisURL {
        RedisURL(endpoint: endpoint, user: user, password: password, database: database)
    }

    private static func cut(
        _ bytes: ArraySlice<UInt8>, atFirst byte: UInt8
    ) -> (before: ArraySlice<UInt8>, after: ArraySlice<UInt8>?) {
        guard let index = bytes.firstIndex(of: byte) else { return (bytes, nil) }
        return (bytes[..<index], bytes[(index + 1)...])
    }

    /// The last `@` separates, as in Python's urlsplit: passwords are often pasted unescaped.
    private static func splitAuthority(
        _ authority: ArraySlice<UInt8>
    ) -> (userInfo: ArraySlice<UInt8>?, hostAndPort: ArraySlice<UInt8>) {
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return (nil, authority) }
        return (authority[..<at], authority[(at + 1)...])
    }

    private static func credentials(_ userInfo: ArraySlice<UInt8>?) -> (user: [UInt8]?, password: [UInt8]?) {
        guard let userInfo else { return (nil, nil) }
        let (name, secret) = cut(userInfo, atFirst: UInt8(ascii: ":"))
        let user = percentDecoded(name)
        let password = secret.map(percentDecoded) ?? []
        if user.isEmpty { return (nil, password.isEmpty ? nil : password) }
        return (user, password)
    }

    private static func hostAndPort(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> (String, Int) {
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
        let name = percentDecoded(host)
        guard !name.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { throw .invalidHost }
        let number = port.isEmpty ? 6379 : decimal(port, maximum: 65_535)
        guard let number, number > 0 else { throw .invalidPort }
        return (name.isEmpty ? "localhost" : String(decoding: name, as: UTF8.self), number)
    }

    private static func socketPath(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> String {
        let path = percentDecoded(bytes)
        guard path.count > 1, !path.contains(0) else { throw .relativeSocketPath }
        // sun_path of sockaddr_un: 108 bytes with the final NUL.
        guard path.count < 108 else { throw .socketPathTooLong }
        return String(decoding: path, as: UTF8.self)
    }

    private static func databaseOption(_ query: ArraySlice<UInt8>?) throws(RedisURLError) -> Int? {
        guard let query, !query.isEmpty else { return nil }
        var number: Int?
        for option in query.split(separator: UInt8(ascii: "&")) {
            let (name, value) = cut(option, atFirst: UInt8(ascii: "="))
            guard name.elementsEqual("db".utf8) else { throw .unknownOption(named: name, in: query) }
            guard number == nil else { throw .twoDatabases }
            number = try database(value ?? [])
        }
        return number
    }

    private static func database(_ bytes: ArraySlice<UInt8>) throws(RedisURLError) -> Int {
        guard let number = decimal(ArraySlice(percentDecoded(bytes)), maximum: Int(Int32.max)) else {
            throw .invalidDatabase
        }
        return number
    }

    private static func decimal(_ digits: ArraySlice<UInt8>, maximum: Int) -> Int? {
        guard !digits.isEmpty, digits.count <= 10 else { return nil }
        var number = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            number = number * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return number <= maximum ? number : nil
    }

    private static func percentDecoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = hexDigit(rest.first), let low = hexDigit(rest.dropFirst().first) {
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case .some(let digit) where (0x30...0x39).contains(digit): digit - 0x30
        case .some(let letter) where (0x41...0x46).contains(letter): letter - 0x41 + 10
        case .some(let letter) where (0x61...0x66).contains(letter): letter - 0x61 + 10
        default: nil
        }
    }
}

extension RedisURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL with `***` in place of the password: fit for a log.
    package var description: String {
        var text = if case .tcp = endpoint { "redis://" } else { "unix://" }
        if let user { text += String(decoding: user, as: UTF8.self) }
        if password != nil { text += ":***" }
        if user != nil || password != nil { text += "@" }
        switch endpoint {
        case .tcp(let host, let port): text += (host.utf8.contains(0x3A) ? "[\(host)]" : host) + ":\(port)/\(database)"
        case .unixSocket(let path): text += path + (database == 0 ? "" : "?db=\(database)")
        }
        return text
    }

    package var debugDescription: String { description }

    /// Empty, so that `dump` does not show the password either.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
