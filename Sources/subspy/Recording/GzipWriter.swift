import CZlib

/// Writes gzip (RFC 1952): one member, from which everything up to the last flush can be read at any time.
final class GzipWriter {
    private let stream: UnsafeMutablePointer<z_stream>
    private var space = [UInt8](repeating: 0, count: 1 << 16)

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // The fastest level: recordings compress well, and the recorder has to keep up. 15 is the largest window,
        // 16 asks for gzip's wrapper, 8 is zlib's default for memory. It fails only when malloc does.
        let status = deflateInit2_(
            stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { fatalError("out of memory") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Compresses bytes and hands over all output in pieces, so that a reader gets every byte.
    ///
    /// - Parameter isLast: ends the member; the next write begins another.
    func write(_ bytes: UnsafeRawBufferPointer, isLast: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
        stream.pointee.next_in = bytes.baseAddress.map {
            UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UInt8.self)
        }
        stream.pointee.avail_in = UInt32(bytes.count)
        repeat {
            let count = space.withUnsafeMutableBufferPointer { space in
                stream.pointee.next_out = space.baseAddress
                stream.pointee.avail_out = UInt32(space.count)
                _ = deflate(stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
                return space.count - Int(stream.pointee.avail_out)
            }
            space.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        } while stream.pointee.avail_out == 0
        if isLast { deflateReset(stream) }
    }
}
