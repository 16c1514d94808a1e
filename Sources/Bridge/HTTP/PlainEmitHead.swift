import JSONCodec

/// The head of a `POST /emit` as most backends send it, read where it stands.
///
/// Plain is what can be read in one way only and asks for nothing special. A head that is cut, spelled unusually or refused, a
/// chunked body, `Expect`, an upgrade and the end of the connection are left to NIO's parser.
struct PlainEmitHead: Equatable {
    /// Bytes of the head, with the empty line.
    let byteCount: Int
    let bodyByteCount: Int
    let isJSON: Bool

    /// - Parameter bytes: begin with the head; nil where it isn't plain.
    init?(_ bytes: UnsafeRawBufferPointer) {
        let start = Self.requestLine.utf8CodeUnitCount
        let isEmit = Self.requestLine.withUTF8Buffer { sameBytes(bytes.prefixed(start), UnsafeRawBufferPointer($0)) }
        guard isEmit else { return nil }
        var lines = HeaderLines(bytes: bytes.prefixed(Self.maximumBytes), index: start)
        var bodyByteCount: Int?
        var isJSON: Bool?
        while let line = lines.next() {
            switch Field(line.name) {
            case .contentLength:
                guard bodyByteCount == nil, let count = Self.count(line.value) else { return nil }
                bodyByteCount = count
            case .contentType: if isJSON == nil { isJSON = Self.isJSON(line.value) }
            case .connection: guard Self.isEqual(line.value, "keep-alive") else { return nil }
            case .special: return nil
            case .other: break
            }
        }
        guard lines.isAtEnd, let bodyByteCount else { return nil }
        byteCount = lines.index
        self.bodyByteCount = bodyByteCount
        self.isJSON = isJSON ?? false
    }

    private static let requestLine: StaticString = "POST /emit HTTP/1.1\r\n"
    private static let maximumBytes = 8192

    /// A count of bytes below a billion.
    private static func count(_ digits: UnsafeRawBufferPointer) -> Int? {
        guard (1...9).contains(digits.count) else { return nil }
        var count = 0
        for byte in digits {
            guard case let digit = byte &- UInt8(ascii: "0"), digit < 10 else { return nil }
            count = count * 10 + Int(digit)
        }
        return count
    }

    private static func isJSON(_ contentType: UnsafeRawBufferPointer) -> Bool {
        isEqual(contentType, "application/json") || EmitEndpoint.isJSON(String(decoding: contentType, as: UTF8.self))
    }

    /// The fields that mean something to this server or to NIO's parser.
    private enum Field {
        case contentLength, contentType, connection, special, other

        init(_ name: UnsafeRawBufferPointer) {
            switch name.count {
            case 6: self = isEqual(name, "expect") ? .special : .other
            case 7: self = isEqual(name, "upgrade") ? .special : .other
            case 10: self = isEqual(name, "connection") ? .connection : .other
            case 12: self = isEqual(name, "content-type") ? .contentType : .other
            case 14: self = isEqual(name, "content-length") ? .contentLength : .other
            case 16: self = isEqual(name, "proxy-connection") ? .special : .other
            case 17: self = isEqual(name, "transfer-encoding") ? .special : .other
            default: self = .other
            }
        }
    }

    /// - Parameter text: lower case, of letters, `-` and `/`; upper case in `bytes` is the same.
    private static func isEqual(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        text.withUTF8Buffer { text in
            guard text.count == bytes.count else { return false }
            for index in text.indices
            where bytes[index] != text[index] && (bytes[index] | 0x20 != text[index] || bytes[index] < 0x41) {
                return false
            }
            return true
        }
    }
}

/// The lines of a head after the first, as strictly as RFC 9112 has them and in ASCII.
private struct HeaderLines {
    let bytes: UnsafeRawBufferPointer
    private(set) var index: Int
    /// Behind the empty line. False, once `next` has returned nil, where a line is cut or not plain.
    private(set) var isAtEnd = false

    /// The next line's name, and its value without a space in front.
    mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        let start = index
        while index < bytes.count, Self.isToken(bytes[index]) { index &+= 1 }
        guard index > start else {
            isAtEnd = endLine()
            return nil
        }
        let name = UnsafeRawBufferPointer(rebasing: bytes[start..<index])
        guard index &+ 1 < bytes.count, bytes[index] == UInt8(ascii: ":") else { return nil }
        index &+= bytes[index &+ 1] == 0x20 ? 2 : 1
        let valueStart = index
        skipText()
        let value = UnsafeRawBufferPointer(rebasing: bytes[valueStart..<index])
        return endLine() ? (name, value) : nil
    }

    private mutating func endLine() -> Bool {
        guard index &+ 1 < bytes.count, bytes[index] == 0x0D, bytes[index &+ 1] == 0x0A else { return false }
        index &+= 2
        return true
    }

    /// Passes printable ASCII.
    private mutating func skipText() {
        while true {
            index &+= plainRunLength(bytes, from: index)
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") else {
                return
            }
            index &+= 1
        }
    }

    /// Letters, digits and `!#$%&'*+-.^_`|~` (RFC 9110, section 5.6.2).
    @inline(__always) private static func isToken(_ byte: UInt8) -> Bool {
        guard byte < 0x80 else { return false }
        let set: UInt64 = byte < 0x40 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return set >> UInt64(byte & 0x3F) & 1 == 1
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func prefixed(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[..<Swift.min(count, self.count)])
    }
}
