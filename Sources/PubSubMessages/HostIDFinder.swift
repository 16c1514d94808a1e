import Bytes

/// Finds the sender of a message that is too large to be decoded, or can't be, near its beginning and end.
///
/// Emitters write `host_id` last, python-socketio's acks write it near the front. The bytes between are never read.
enum HostIDFinder {
    /// Bytes read at either end.
    private static let reach = 512
    private static let key = Array("host_id".utf8)
    /// `uuid4().hex`.
    private static let digitCount = 32

    /// The 32 hexadecimal digits that follow `host_id`, in a pickle of any protocol or in JSON; nil without them.
    static func hostID(in payload: UnsafeRawBufferPointer) -> ByteString? {
        unsafe hostID(in: payload.suffix(reach)) ?? hostID(in: payload.prefix(reach))
    }

    private static func hostID(in part: Slice<UnsafeRawBufferPointer>) -> ByteString? {
        guard unsafe part.count >= key.count else { return nil }
        var start = unsafe part.endIndex - key.count
        while unsafe start >= part.startIndex {
            if unsafe part[start..<start + key.count].elementsEqual(key) {
                if let digits = unsafe digits(in: part[(start + key.count)...].prefix(64)) { return digits }
            }
            start -= 1
        }
        return nil
    }

    /// The first run of that many digits, without an opcode before it whose letter is a digit too.
    private static func digits(in part: Slice<UnsafeRawBufferPointer>) -> ByteString? {
        var rest = unsafe part
        var run: [UInt8] = []
        while let byte = unsafe rest.popFirst() {
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
