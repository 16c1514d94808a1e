import NIOHTTP1

/// The framing of a request: body, connection and upgrade, as its head declares them (RFC 9112, sections 3.2, 6 and 9).
struct RequestFraming {
    /// An offer to continue in another protocol (RFC 9110, section 7.8). NIO's parser stands still behind a request that
    /// makes one, with or without a body, whatever the response.
    enum UpgradeOffer {
        case none
        /// The parser stands still.
        case plain
        /// Spelled so that only the parser knows whether it stands still.
        case unclear
    }

    private(set) var contentLength: Int?
    private(set) var expectsContinue = false
    private(set) var upgradeOffer = UpgradeOffer.none
    /// The mistake, as a sentence without its full stop: the response is 400 and the connection closes.
    private(set) var fault: String?

    /// Bits for the lengths of the header names below, so that few other names are compared.
    private static let lengths: UInt32 = 1 << 4 | 1 << 6 | 1 << 7 | 1 << 14 | 1 << 17

    /// - Parameter head: as the parser has read it.
    init(_ head: HTTPRequestHead) {
        var (hosts, codings) = (0, 0)
        var upgrade: String?
        for (name, value) in head.headers where Self.lengths & 1 << name.utf8.count != 0 {
            let content = Self.trimmed(value)
            switch name.lowercased() {
            case "host":
                hosts += 1
                if !content.utf8.allSatisfy(Self.isInHost) { fault = "The Host header is not a valid host" }
            case "expect": expectsContinue = content.lowercased() == "100-continue"
            case "upgrade": upgrade = upgrade ?? value
            case "content-length":
                contentLength = Int(content)
                if contentLength == nil { fault = "The Content-Length is not a valid number" }
            case "transfer-encoding":
                codings += 1
                if codings > 1 || content.lowercased() != "chunked" {
                    fault = "The only supported transfer coding is chunked"
                }
            default: break
            }
        }
        let isOld = head.version == .http1_0
        if hosts > 1 || hosts == 0 && !isOld { fault = "A request must have exactly one Host header" }
        if codings > 0, isOld { fault = "HTTP/1.0 has no transfer codings" }
        if let upgrade { upgradeOffer = Self.offer(of: upgrade, head.headers) }
    }

    /// Reads the Connection headers, which only matter to a request with an Upgrade header. The parser treats Proxy-Connection
    /// like Connection.
    private static func offer(of upgrade: String, _ headers: HTTPHeaders) -> UpgradeOffer {
        let options = (headers["connection"] + headers["proxy-connection"]).map { $0.lowercased() }
        guard options.contains(where: { $0.contains("upgrade") }) else { return .none }
        return !upgrade.isEmpty && options.contains { names("upgrade", in: $0) } ? .plain : .unclear
    }

    /// Removes white space at the end of values, which the parser leaves there (RFC 9110, section 5.5).
    static func trim(_ headers: inout HTTPHeaders) {
        guard headers.contains(where: { isSpace($0.value.utf8.last) }) else { return }
        headers = HTTPHeaders(headers.map { ($0.name, String(trimmed($0.value))) })
    }

    private static func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func trimmed(_ value: String) -> Substring {
        var value = value[...]
        while isSpace(value.utf8.last) { value.removeLast() }
        return value
    }

    /// True if the parser finds the option in a Connection header; it skips tabs only before the option.
    private static func names(_ option: String, in options: String) -> Bool {
        options.split(separator: ",").contains { part in
            let start = part.drop { $0 == " " || $0 == "\t" }
            return start.hasPrefix(option) && start.dropFirst(option.count).allSatisfy { $0 == " " }
        }
    }

    /// The characters of a host and port (RFC 3986, section 3.2.2), including the brackets of IPv6.
    static func isInHost(_ byte: UInt8) -> Bool {
        byte.isAlphanumeric || "-._~:[]%!$&'()*+;=".utf8.contains(byte)
    }

    /// The origin form of a target in absolute form, which clients may also send; nil for any other form. The host is ignored
    /// (RFC 9112, section 3.2.2).
    static func originForm(ofAbsolute target: String) -> String? {
        guard target.utf8.first != UInt8(ascii: "/"), let scheme = target.firstRange(of: "://") else { return nil }
        let rest = target[scheme.upperBound...].drop { !"/?#".contains($0) }
        return rest.first == "/" ? String(rest) : "/" + rest
    }
}

extension UInt8 {
    /// An ASCII letter or digit.
    var isAlphanumeric: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
