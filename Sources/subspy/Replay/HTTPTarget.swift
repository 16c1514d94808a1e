import ArgumentParser

/// The address of a ws-emit's `POST /emit`: `http://host[:port][/path]`.
struct HTTPTarget: CustomStringConvertible {
    let host: String
    let port: Int
    /// `/emit` where the URL has none.
    let path: String

    /// - Throws: a `ValidationError` that repeats nothing of the text, in which a password may stand.
    init(_ argument: String) throws {
        guard let colon = argument.firstIndex(of: ":"), argument[colon...].hasPrefix("://") else {
            throw ValidationError("write http://host:port/emit")
        }
        switch argument[..<colon].lowercased() {
        case "http": break
        case "https":
            throw ValidationError("https is not spoken here: name the address of ws-emit itself, with http://")
        default: throw ValidationError("write http://host:port/emit")
        }
        let rest = argument[argument.index(colon, offsetBy: 3)...]
        let slash = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<slash]
        // Not repeated: it may hold a password.
        guard !authority.contains("@") else { throw ValidationError("the URL of /emit has no user and password") }
        (host, port) = try Self.split(authority)
        let path = rest[slash...]
        guard path.utf8.allSatisfy({ 0x21..<0x7F ~= $0 && $0 != UInt8(ascii: "#") }), path.first != "?" else {
            throw ValidationError("the path of the URL must be percent-encoded, without # and with a / first")
        }
        self.path = path.isEmpty || path == "/" ? "/emit" : String(path)
    }

    private static func split(_ authority: Substring) throws -> (host: String, port: Int) {
        var (host, port) = (authority, Substring())
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw ValidationError("an IPv6 address ends with ]") }
            host = authority[authority.index(after: authority.startIndex)..<end]
            port = authority[authority.index(after: end)...]
        } else if let colon = authority.firstIndex(of: ":") {
            (host, port) = (authority[..<colon], authority[colon...])
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ 0x21..<0x7F ~= $0 }) else {
            throw ValidationError("the URL names no host")
        }
        if port.isEmpty { return (String(host), 80) }
        guard port.first == ":", let number = UInt16(port.dropFirst()), number > 0 else {
            throw ValidationError("the port of the URL is no number from 1 to 65535")
        }
        return (String(host), Int(number))
    }

    /// As the Host header names it.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + (port == 80 ? "" : ":\(port)") }

    var description: String { "http://\(authority)\(path)" }

    /// True when the address as it is written certainly is this machine's.
    var isOnThisMachine: Bool { LoopbackHost.isCertain(host) }
}

/// Names of this machine.
enum LoopbackHost {
    static func isCertain(_ host: String) -> Bool {
        host == "localhost" || host == "::1"
            || host.hasPrefix("127.")
                && host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || 0x30..<0x3A ~= $0 }
    }
}
