import CZlib
import Glibc

/// The end of a gzip file that is to be appended to: a crash leaves its last member without an end.
struct GzipTail {
    /// Bytes of the file that are sound: up to the last complete member, or the last flush after it.
    private(set) var soundBytes = 0
    /// Bytes that complete the last member after the sound ones; empty when it is complete.
    private(set) var ending: [UInt8] = []
    /// True when the text in the sound bytes ends in the middle of a line.
    private(set) var isInLine = false

    /// Reads the whole file; nil when that fails, with the reason in `errno`, or when it is no gzip.
    init?(descriptor: CInt) {
        let reader = GzipReader()
        var input = [UInt8](repeating: 0, count: 1 << 16)
        var output = [UInt8](repeating: 0, count: 1 << 18)
        var unread = 0..<0
        var position = 0
        var memberChecksum = crc32(0, nil, 0)
        var memberBytes: UInt32 = 0
        var last: UInt8 = 0x0A
        while reader.state != .damaged {
            if unread.isEmpty {
                let count = input.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, position) }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { return nil }
                if count == 0 { break }
                unread = 0..<count
            }
            let (taken, written) = input.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    reader.read(UnsafeRawBufferPointer(rebasing: input[unread]), into: output, stopsAtBlocks: true)
                }
            }
            unread = unread.dropFirst(taken)
            position += taken
            memberChecksum = output.withUnsafeBufferPointer { crc32(memberChecksum, $0.baseAddress, UInt32(written)) }
            memberBytes &+= UInt32(written)
            if written > 0 { last = output[written - 1] }
            if reader.state == .complete {
                note(position, last, ending: [])
                memberChecksum = crc32(0, nil, 0)
                memberBytes = 0
            } else if reader.isAtFlush {
                note(position, last, ending: Self.ending(checksum: UInt32(memberChecksum), byteCount: memberBytes))
            }
        }
        guard soundBytes > 0 || position == 0 else { return nil }
    }

    private mutating func note(_ position: Int, _ last: UInt8, ending: [UInt8]) {
        soundBytes = position
        isInLine = last != 0x0A
        self.ending = ending
    }

    /// An empty last block (RFC 1951, section 3.2.6), then the checksum and the size modulo 2^32.
    private static func ending(checksum: UInt32, byteCount: UInt32) -> [UInt8] {
        [0x03, 0x00]
            + [checksum, byteCount].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    }
}
