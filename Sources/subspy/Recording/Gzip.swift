import CZlib
import Glibc

/// 15 is the largest window, 16 asks for gzip's wrapper.
private let gzipWindow: CInt = 15 + 16

private func makeStream(_ initialize: (UnsafeMutablePointer<z_stream>) -> CInt) -> UnsafeMutablePointer<z_stream> {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // It fails only when malloc does.
    guard unsafe initialize(stream) == Z_OK else { fatalError("out of memory") }
    return unsafe stream
}

/// Reads gzip (RFC 1952), one member after the other, from bytes that come in pieces.
@safe final class GzipReader {
    /// The state of the last member.
    enum State {
        /// Between members, where a file may end.
        case complete
        case inMember
        /// Broken: nothing more can be read.
        case damaged
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private(set) var state = State.complete

    init() {
        unsafe stream = unsafe makeStream {
            unsafe inflateInit2_($0, gzipWindow, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Decompresses `input` into `output`.
    ///
    /// - Parameter stopsAtBlocks: returns at the end of each block of deflate.
    /// - Returns: the counts of bytes taken and written.
    func read(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, stopsAtBlocks: Bool = false
    ) -> (taken: Int, written: Int) {
        guard state != .damaged, let source = input.baseAddress, let target = output.baseAddress else { return (0, 0) }
        unsafe stream.pointee.next_in = unsafe UnsafeMutableRawPointer(mutating: source).assumingMemoryBound(
            to: UInt8.self)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = unsafe target.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(output.count)
        if input.count > 0 { state = .inMember }
        switch unsafe inflate(stream, stopsAtBlocks ? Z_BLOCK : Z_NO_FLUSH) {
        case Z_STREAM_END:
            state = .complete
            unsafe inflateReset(stream)
        case Z_OK, Z_BUF_ERROR: break
        default: state = .damaged
        }
        return unsafe (input.count - Int(stream.pointee.avail_in), output.count - Int(stream.pointee.avail_out))
    }

    /// True at the end of a block that ends at the end of a byte: after a flush.
    var isAtFlush: Bool {
        // zlib.h: 128 after a block, the low bits count the unread bits of the last byte, 64 in the last block.
        unsafe state == .inMember && stream.pointee.data_type & 0b1100_0111 == 128
    }
}

/// Writes gzip (RFC 1952): one member, from which everything up to the last flush can be read at any time.
@safe final class GzipWriter {
    private let stream: UnsafeMutablePointer<z_stream>
    private var space = [UInt8](repeating: 0, count: 1 << 16)

    init() {
        // The fastest level: recordings compress well, and the recorder has to keep up. 8 is zlib's default for memory.
        unsafe stream = unsafe makeStream {
            unsafe deflateInit2_(
                $0, Z_BEST_SPEED, Z_DEFLATED, gzipWindow, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                CInt(MemoryLayout<z_stream>.size))
        }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Compresses bytes and hands over all output in pieces, so that a reader gets every byte.
    ///
    /// - Parameter isLast: ends the member; the next write begins another.
    func write(_ bytes: UnsafeRawBufferPointer, isLast: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
        unsafe stream.pointee.next_in = unsafe bytes.baseAddress.map {
            unsafe UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UInt8.self)
        }
        unsafe stream.pointee.avail_in = UInt32(bytes.count)
        repeat {
            let count = unsafe space.withUnsafeMutableBufferPointer { space in
                unsafe stream.pointee.next_out = space.baseAddress
                unsafe stream.pointee.avail_out = UInt32(space.count)
                _ = unsafe deflate(stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
                return unsafe space.count - Int(stream.pointee.avail_out)
            }
            unsafe space.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        } while unsafe stream.pointee.avail_out == 0
        if isLast { unsafe deflateReset(stream) }
    }
}

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
                let count = unsafe input.withUnsafeMutableBytes {
                    unsafe pread(descriptor, $0.baseAddress, $0.count, position)
                }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { return nil }
                if count == 0 { break }
                unread = 0..<count
            }
            let (taken, written) = unsafe input.withUnsafeBytes { input in
                unsafe output.withUnsafeMutableBytes { output in
                    unsafe reader.read(
                        UnsafeRawBufferPointer(rebasing: input[unread]), into: output, stopsAtBlocks: true)
                }
            }
            unread = unread.dropFirst(taken)
            position += taken
            memberChecksum = unsafe output.withUnsafeBufferPointer {
                unsafe crc32(memberChecksum, $0.baseAddress, UInt32(written))
            }
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
