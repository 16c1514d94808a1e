import NIOCore
import SocketIOProtocol

/// A plain request that opens a session over a websocket; all other requests are for the HTTP parser.
///
///     GET /socket.io/?EIO=4&transport=websocket HTTP/1.1
///     Upgrade: websocket
///     Connection: keep-alive, Upgrade
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
///     Sec-WebSocket-Version: 13
///     Origin: https://example.com                            (may be missing)
///
/// Thousands of pages connect at once after a restart, and reading these lines takes a tenth of the time of a full HTTP
/// parser. It must never accept a head that the full parser rejects, so it accepts only heads that are complete, short and
/// plain.
struct WebSocketRequest {
    let query: ArraySlice<UInt8>
    private(set) var key: ArraySlice<UInt8> = []
    private(set) var origin: ArraySlice<UInt8>?
    /// Bytes up to the end of the empty line.
    private(set) var byteCount = 0
    private var saysUpgrade = false
    private var saysConnection = false
    private var saysVersion = false
    private var saysHost = false

    /// - Parameter path: the Engine.IO path, with slashes at both ends.
    init?(_ bytes: ByteBuffer, path: [UInt8]) {
        var rest =
            unsafe bytes.readableBytesView.withContiguousStorageIfAvailable {
                unsafe Array($0.prefix(BridgeLimits.webSocketHeadBytes))
            }?[...] ?? []
        let length = rest.count
        guard rest.skip("GET "), rest.starts(with: path) else { return nil }
        rest = rest.dropFirst(path.count)
        guard rest.skip("?"), let end = rest.firstIndex(where: { !Self.isInTarget($0) }) else { return nil }
        query = rest[..<end]
        rest = rest[end...]
        guard rest.skip(" HTTP/1.1\r\n") else { return nil }
        var lines = 0
        while !rest.skip("\r\n") {
            lines += 1
            guard lines <= BridgeLimits.webSocketHeadLines, let line = rest.takeLine(), read(line) else { return nil }
        }
        guard saysUpgrade, saysConnection, saysVersion, saysHost, WebSocketHandshake.isKey(key) else { return nil }
        byteCount = length - rest.count
    }

    /// True if a byte may be in a query (RFC 3986, section 3.4).
    private static func isInTarget(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#")
    }

    /// - Returns: true if a plain request may have this header.
    private mutating func read(_ line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(where: { !Self.isInName($0) }), colon > line.startIndex,
            line[colon] == UInt8(ascii: ":")
        else { return false }
        let name = line[..<colon]
        let value = line[(colon + 1)...].drop(while: Self.isSpace)
        guard value.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), value.last != 0x20 else { return false }
        switch name.count {
        case 4 where name.equals("host"):
            if saysHost || !value.allSatisfy(RequestFraming.isInHost) { return false }
            saysHost = true
        case 6 where name.equals("origin"):
            if origin != nil { return false }
            origin = value
        case 7 where name.equals("upgrade"):
            if saysUpgrade || !value.equals("websocket") { return false }
            saysUpgrade = true
        case 10 where name.equals("connection"):
            let options = value.split(separator: UInt8(ascii: ","))
            if saysConnection || !options.contains(where: { $0.drop(while: Self.isSpace).equals("upgrade") }) {
                return false
            }
            saysConnection = true
        case 17 where name.equals("sec-websocket-key"):
            if !key.isEmpty { return false }
            key = value
        case 21 where name.equals("sec-websocket-version"):
            if saysVersion || !value.equals("13") { return false }
            saysVersion = true
        // Headers of a body, of `100 Continue`, and of subprotocols.
        case 22 where name.equals("sec-websocket-protocol"), 14 where name.equals("content-length"),
            17 where name.equals("transfer-encoding"),
            6 where name.equals("expect"):
            return false
        default: break
        }
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// The bytes that header names use.
    private static func isInName(_ byte: UInt8) -> Bool {
        byte.isAlphanumeric || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}

extension ArraySlice<UInt8> {
    /// Skips a text if it comes next.
    fileprivate mutating func skip(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { text in
            guard unsafe starts(with: text) else { return false }
            self = dropFirst(text.count)
            return true
        }
    }

    /// The next line without CR and LF; nil if it is incomplete.
    fileprivate mutating func takeLine() -> ArraySlice<UInt8>? {
        guard let end = firstIndex(of: 0x0D), end + 1 < endIndex, self[end + 1] == 0x0A else { return nil }
        defer { self = self[(end + 2)...] }
        return self[..<end]
    }

    /// True if this equals a lower-case text, ignoring case.
    fileprivate func equals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { text in unsafe elementsEqual(text) { $0 == $1 || $0 | 0x20 == $1 && $1 > 0x60 } }
    }
}
