import Bytes
/// Tells the operator about a refused Origin: how to allow it, and which allowed one it nearly matches.
///
/// Clients can send any text as Origin. The options shown contain only texts in the format of an origin, since operators
/// paste them into shells.
package struct OriginAdvice: CustomStringConvertible {
    /// The Origin, safe to show.
    package let origin: String
    /// What to do about it, as a clause.
    package let advice: String

    package var description: String { "the Origin \(origin) is refused; \(advice)" }

    /// - Parameters:
    ///   - origin: as the client sent it.
    ///   - allowed: as given to `--cors`.
    package init(refused origin: String, allowed: [String]) {
        let parsed = Origin(origin)
        let isBrowsers = origin == parsed?.description
        guard AllowedOrigin.flaw(in: origin) == nil, origin != "*", Self.isShellSafe(origin) else {
            self.origin = "'\(Self.printable(origin))'"
            advice =
                parsed.map { "browsers send it as \($0): let your app send that, or no Origin" }
                ?? "no browser sends it for your pages; let your app send no Origin"
            return
        }
        self.origin = origin
        // Replaces entries that were surely meant to be this origin, and entries that no Origin can match.
        let misspelt = isBrowsers ? allowed.filter { Origin($0) == parsed } : []
        let others = allowed.filter { AllowedOrigin.flaw(in: $0) == nil && !misspelt.contains($0) }
        let option = (others + [origin]).joined(separator: " ")
        let isShort = option.utf8.count <= BridgeLimits.shownOriginListBytes && others.allSatisfy(Self.isShellSafe)
        let allow = isShort ? "--cors \(option) or CORS=\"\(option)\"" : "--cors … \(origin), besides the others"
        if origin == "null" {
            advice = """
                pages opened as files, sandboxed frames and some apps send it: serve the page over HTTP, let your app send \
                no Origin, or allow all of these with \(allow)
                """
        } else if isBrowsers {
            let hint =
                misspelt.first.map { "browsers don't send it as \(Self.printable($0))" }
                ?? allowed.lazy.compactMap { Origin($0).flatMap { parsed?.difference(from: $0) } }.first
            advice = "if that page or app is yours, allow it with \(allow)" + (hint.map { " (\($0))" } ?? "")
        } else {
            let browsers = parsed.map { "browsers send it as \($0)" } ?? "no web page has it"
            advice = "\(browsers): let your app send no Origin, or allow exactly this text with \(allow)"
        }
    }

    /// Whether a text needs no quotes in a shell.
    private static func isShellSafe(_ text: String) -> Bool {
        text.utf8.allSatisfy { Origin.isAlphanumeric($0) || "+-._:/[]".utf8.contains($0) }
    }

    /// At most 128 characters in printable ASCII, without characters that could end the quotes around it.
    static func printable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(128) {
            let isPlain = (0x21...0x7e).contains(scalar.value) && scalar != "'" && scalar != "\\"
            if isPlain || scalar == " " {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return text.unicodeScalars.count > 128 ? result + "…" : result
    }
}

/// An origin as an operator writes it after `--cors`; it is compared exactly.
package enum AllowedOrigin {
    /// A sentence saying why no Origin header can be this text; nil if a page or an app can send it (`file://`,
    /// `wss://host:443`).
    package static func flaw(in text: String) -> String? {
        if text == "*" || text == "null" { return nil }
        let start = "the origin \(OriginAdvice.printable(text)) matches no page: "
        if text.contains("*") { return start + "a * means any origin, and only when it stands alone" }
        if text.contains(",") { return start + "separate origins by spaces" }
        guard let colon = text.firstRange(of: "://") else {
            return start + "write the scheme too, as in http://localhost:7788"
        }
        let isWeb = ["http", "https", "ws", "wss"].contains(text[..<colon.lowerBound].lowercased())
        if colon.upperBound == text.endIndex, !isWeb, Origin(text + "host") != nil { return nil }
        guard let origin = Origin(text) else { return start + "write it as scheme://host:port" }
        return text[colon.upperBound...].contains("/")
            ? start + "browsers send \(origin), without a path or slash" : nil
    }

    /// A sentence saying why browsers never send this text, although apps may.
    package static func doubt(in text: String) -> String? {
        guard text.lowercased().hasPrefix("http"), let origin = Origin(text), origin.description != text else {
            return nil
        }
        return "no browser sends the origin \(OriginAdvice.printable(text)): pages have \(origin)"
    }
}

/// Scheme, host and port of an origin (RFC 6454, section 6.2), read as operators spell it: with upper case,
/// a default port, or a slash or path at the end.
struct Origin: Equatable, CustomStringConvertible {
    private let scheme: String
    private let host: String
    private let port: Int?

    /// As a browser sends it: lower case, without a default port.
    var description: String { "\(scheme)://\(host)" + (port.map { ":\($0)" } ?? "") }

    init?(_ text: String) {
        guard text.utf8.count <= 512, let colon = text.firstRange(of: "://") else { return nil }
        scheme = text[..<colon.lowerBound].lowercased()
        guard scheme.first?.isLetter == true,
            scheme.utf8.allSatisfy({ Self.isAlphanumeric($0) || "+-.".utf8.contains($0) })
        else {
            return nil
        }
        let authority = text[colon.upperBound...].prefix { $0 != "/" }
        let isBracketed = authority.hasPrefix("[")
        let name =
            isBracketed
            ? authority.prefix { $0 != "]" } + authority.drop { $0 != "]" }.prefix(1) : authority.prefix { $0 != ":" }
        let rest = authority.dropFirst(name.count)
        host = name.lowercased()
        let inner = isBracketed ? host.dropFirst().dropLast() : host[...]
        guard !inner.isEmpty, !isBracketed || host.hasSuffix("]"),
            inner.utf8.allSatisfy({ Self.isAlphanumeric($0) || (isBracketed ? ":." : "-._").utf8.contains($0) })
        else { return nil }
        if rest.isEmpty {
            port = nil
        } else {
            guard rest.hasPrefix(":"), rest.utf8.count <= 6,
                rest.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(rest.dropFirst()), (0...65535).contains(number)
            else { return nil }
            port = Self.defaultPort(scheme) == number ? nil : number
        }
    }

    /// A clause saying how a near miss differs from this origin.
    func difference(from allowed: Origin) -> String? {
        let (sameScheme, sameHost) = (scheme == allowed.scheme, host == allowed.host)
        let samePort = effectivePort == allowed.effectivePort
        let bothDefault = port == nil && allowed.port == nil
        if sameHost, samePort || bothDefault, !sameScheme {
            return "\(scheme) and \(allowed.scheme) are different origins"
        }
        if sameHost, sameScheme, !samePort {
            return "the port differs from the allowed \(allowed): it is part of the origin"
        }
        guard sameScheme, samePort else { return nil }
        if Self.loopback.contains(host), Self.loopback.contains(allowed.host) {
            return "\(host) and \(allowed.host) are different origins, though the same machine"
        }
        if host == "www." + allowed.host || allowed.host == "www." + host {
            return "\(host) and \(allowed.host) are different origins"
        }
        return nil
    }

    private static let loopback: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

    private var effectivePort: Int? { port ?? Self.defaultPort(scheme) }

    private static func defaultPort(_ scheme: String) -> Int? {
        ["http": 80, "ws": 80, "https": 443, "wss": 443][scheme]
    }

    fileprivate static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }
}
