import CZlib

/// Reads gzip (RFC 1952), one member after the other, from bytes that come in pieces.
final class GzipReader {
    /// Where the last member stands.
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
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15 is the largest window, 16 asks for gzip's wrapper. It fails only when malloc does.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            fatalError("out of memory")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Decompresses `input` into `output`.
    ///
    /// - Parameter stopsAtBlocks: returns at the end of each block of deflate.
    /// - Returns: the counts of bytes taken and written.
    func read(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, stopsAtBlocks: Bool = false
    ) -> (taken: Int, written: Int) {
        guard state != .damaged, let source = input.baseAddress, let target = output.baseAddress else { return (0, 0) }
        stream.pointee.next_in = UnsafeMutableRawPointer(mutating: source).assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = target.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(output.count)
        if input.count > 0 { state = .inMember }
        switch inflate(stream, stopsAtBlocks ? Z_BLOCK : Z_NO_FLUSH) {
        case Z_STREAM_END:
            state = .complete
            inflateReset(stream)
        case Z_OK, Z_BUF_ERROR: break
        default: state = .damaged
        }
        return (input.count - Int(stream.pointee.avail_in), output.count - Int(stream.pointee.avail_out))
    }

    /// True at the end of a block that ends at the end of a byte: after a flush.
    var isAtFlush: Bool {
        // zlib.h: 128 after a block, the low bits count the unread bits of the last byte, 64 in the last block.
        state == .inMember && stream.pointee.data_type & 0b1100_0111 == 128
    }
}
