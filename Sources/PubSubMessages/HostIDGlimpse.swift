import Bytes

/// Finds who sent a message that is too large to be decoded, or can't be, by a look at its ends.
///
/// Emitters write `host_id` last, python-socketio's answers write it near the front; what lies between is never read.
enum HostIDGlimpse {
    /// Bytes looked at on either end.
    private static let reach = 512
    private static let key = Array("host_id".utf8)
    /// `uuid4().hex`.
    private static let digitCount = 32

    /// The 32 hexadecimal digits that follow `host_id`, in a pickle of any protocol or in JSON; nil without them.
    static func hostID(in payload: UnsafeRawBufferPointer) -> ByteString? {
        hostID(in: payload.suffix(reach)) ?? hostID(in: payload.prefix(reach))
    }

    private static func hostID(in part: Slice<UnsafeRawBufferPointer>) -> ByteString? {
        guard part.count >= key.count else { return nil }
        var start = part.endIndex - key.count
        while start >= part.startIndex {
            if part[start..<start + key.count].elementsEqual(key) {
                if let digits = digits(in: part[(start + key.count)...].prefix(64)) { return digits }
            }
            start -= 1
        }
        return nil
    }

    /// The first run of that many digits; a letter of an opcode before it may be a digit too.
    private static func digits(in part: Slice<UnsafeRawBufferPointer>) -> ByteString? {
        var run: [UInt8] = []
        for byte in part {
            if isHexadecimal(byte) {
                run.append(byte)
            } else if run.count >= digitCount {
                break
            } else {
                run = []
            }
        }
        return run.count >= digitCount ? ByteString(bytes: run.suffix(digitCount)) : nil
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
