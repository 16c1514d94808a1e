/// Settings from the environment, with the variables of ../../shared/web.py.
struct Settings: Sendable {
    let port: Int
    let redis: String
    let wsEmitURL: String
    /// The Socket.IO client: a URL, or a file that is served from here.
    let client: String
    /// Host names of the page.
    let hosts: Set<String>

    init(environment: [String: String]) {
        func value(_ name: String, _ standard: String) -> String {
            environment[name].flatMap { $0.isEmpty ? nil : $0 } ?? standard
        }
        guard let port = Int(value("PORT", "7788")), (1...65535).contains(port) else {
            Dir2Web.fail("PORT must be a number from 1 to 65535, it is \(value("PORT", ""))")
        }
        self.port = port
        redis = value("REDIS", "redis://localhost:6379/0")
        let url = value("WS_EMIT_URL", "http://localhost:8899")
        wsEmitURL = url.hasSuffix("/") ? String(url.dropLast()) : url
        client = value("SOCKET_IO_JS", "https://cdn.socket.io/4.8.1/socket.io.min.js")
        hosts = Set(["localhost", "127.0.0.1"] + value("HOSTS", "").split(separator: " ").map(String.init))
    }

    var clientIsURL: Bool { client.contains("://") }

    /// Scripts only from files, never from data; connections only to this server and ws-emit.
    var contentSecurityPolicy: String {
        let wsEmit = Self.origin(wsEmitURL)
        return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'self'; "
            + "img-src 'self'; script-src 'self' \(clientIsURL ? Self.origin(client) : ""); "
            + "connect-src 'self' \(wsEmit) ws\(wsEmit.dropFirst(4))"
    }

    /// `scheme://host:port` of a URL.
    private static func origin(_ url: String) -> String {
        url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false).prefix(3).joined(separator: "/")
    }
}
