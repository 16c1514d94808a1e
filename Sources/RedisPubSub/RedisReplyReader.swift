import CHiredis
import Glibc
import NIOCore

/// Splits the server's bytes into replies. Messages, which are many and all alike, are found in the bytes read
/// (`RedisMessageFrame`); hiredis parses everything else (RESP2, and the pushes of RESP3).
///
///     bytes ──┬─ messages ──────────────────────────────────▶ delegate.received
///             └─ else ──▶ redisReader ──callbacks, handle──▶ every other reply, as a RedisReply
///
/// A message that several reads bring, or one of unusual spelling or size, goes through the parser too. hiredis builds reply
/// objects through a table of functions. Ours build none: they pass the payload on within the callback, while the parser's
/// buffer doesn't move. Only the channel's name is copied, since the parser moves its buffer when a message arrives in several
/// reads. After a thrown error the reader must not be used.
@safe final class RedisReplyReader {
    /// Receives the published messages. It may set this to nil when it is called during `read`.
    var delegate: (any PubSubDelegate)?
    /// True if arrays are replies to commands and become `.texts`; false if they are messages and confirmations.
    var keepsArrays = false

    private let reader: UnsafeMutablePointer<redisReader>
    /// hiredis keeps a pointer to the table, so it lives as long as the reader.
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let maximumReplyBytes: Int
    /// Bytes given to the parser since the last reply ended.
    private var unfinishedBytes = 0
    private var violation: RedisError?

    // The reply being read.
    private var reply = RedisReply.array
    private var word = FirstWord.other
    private var channel = ByteBuffer()
    private var texts: [ByteBuffer] = []

    /// The first element of an array that a subscription receives.
    private enum FirstWord { case message, patternMessage, subscribe, other }

    /// Longer than any line of RESP, error texts included; only bulk strings are longer.
    private static let maximumLineBytes = 64 << 10
    private static let maximumChannelBytes = 64 << 10

    init(maximumReplyBytes: Int) {
        self.maximumReplyBytes = maximumReplyBytes
        unsafe functions = .allocate(capacity: 1)
        unsafe functions.initialize(to: Self.makeFunctions())
        // This fails only when malloc does, before anything has been received.
        guard let reader = unsafe redisReaderCreateWithFunctions(functions) else { fatalError("out of memory") }
        unsafe self.reader = unsafe reader
        // Unretained, since self owns the reader and frees it.
        unsafe reader.pointee.privdata = unsafe Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        unsafe redisReaderFree(reader)
        unsafe functions.deinitialize(count: 1)
        unsafe functions.deallocate()
    }

    /// True if a reply has begun and not ended.
    var isWithinReply: Bool { unfinishedBytes > 0 }

    /// Reads bytes from the socket.
    ///
    /// - Parameter handle: called with each reply; returns false to stop.
    func read(
        _ bytes: UnsafeRawBufferPointer, _ handle: (RedisReply) throws(RedisError) -> Bool
    ) throws(RedisError) {
        var position = 0
        while position < bytes.count {
            guard !keepsArrays, let delegate = delegate else {
                try unsafe parse(UnsafeRawBufferPointer(rebasing: bytes[position...]), handle)
                return
            }
            if !isWithinReply, let message = unsafe message(in: bytes, at: position) {
                let all = unsafe bytes.assumingMemoryBound(to: UInt8.self).span
                delegate.received(all.extracting(message.payload), on: all.extracting(message.channel))
                position = message.end
                guard try handle(.message(byteCount: message.payload.count)) else { return }
                continue
            }
            // A push of RESP3 is an array under another sign, which hiredis doesn't know.
            if !isWithinReply, unsafe bytes[position] == UInt8(ascii: ">") {
                let array: StaticString = "*"
                try unsafe feed(UnsafeRawBufferPointer(start: array.utf8Start, count: 1))
                position += 1
            }
            let end = unsafe Self.endOfPiece(in: bytes, from: position)
            guard try unsafe parse(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), handle) else { return }
            position = end
        }
    }

    /// The complete message within our limits that begins here.
    private func message(in bytes: UnsafeRawBufferPointer, at position: Int) -> RedisMessageFrame? {
        guard let message = unsafe RedisMessageFrame(in: bytes, at: position),
            message.end - position <= maximumReplyBytes, message.channel.count <= Self.maximumChannelBytes
        else { return nil }
        return message
    }

    /// Where the bytes for the parser end: at the next line that looks like the beginning of an array, so that the messages
    /// behind a reply are found again.
    private static func endOfPiece(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        while position < bytes.count, let base = bytes.baseAddress,
            let newline = unsafe memchr(base + position, 0x0A, bytes.count - position)
        {
            position = unsafe UnsafeRawPointer(newline) - base + 1
            guard position < bytes.count else { break }
            if unsafe bytes[position] == UInt8(ascii: "*") || bytes[position] == UInt8(ascii: ">") { return position }
        }
        return bytes.count
    }

    /// Gives bytes to the parser, and passes its replies to `handle`.
    @discardableResult
    private func parse(
        _ bytes: UnsafeRawBufferPointer, _ handle: (RedisReply) throws(RedisError) -> Bool
    ) throws(RedisError) -> Bool {
        try unsafe feed(bytes)
        while let reply = try next() {
            guard try handle(reply) else { return false }
        }
        return true
    }

    private func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        unfinishedBytes += bytes.count
        guard
            unsafe redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
                == REDIS_OK
        else { throw .malformedReply(reason: errorText) }
    }

    /// The next complete reply, or nil when more bytes are needed.
    private func next() throws(RedisError) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        let status = unsafe redisReaderGetReply(reader, &object)
        if let violation { throw violation }
        guard status == REDIS_OK else { throw .malformedReply(reason: errorText) }
        guard unsafe object != nil else {
            try checkUnfinished()
            return nil
        }
        unfinishedBytes = unsafe reader.pointee.len - reader.pointee.pos
        return keepsArrays && reply == .array ? .texts(texts) : reply
    }

    /// hiredis has no limits. We bound a reply as a whole, and a line much lower: with each feed hiredis searches an unfinished
    /// line for its end from the start, which takes quadratic time if the server never ends it.
    private func checkUnfinished() throws(RedisError) {
        guard unfinishedBytes <= maximumReplyBytes else { throw .replyTooLarge(limit: maximumReplyBytes) }
        let unread = unsafe reader.pointee.len - reader.pointee.pos
        guard unread > Self.maximumLineBytes, let buffer = unsafe reader.pointee.buf else { return }
        // The header of a bulk string ends within its first bytes.
        let start = unsafe UnsafeRawBufferPointer(start: buffer + reader.pointee.pos, count: Self.maximumLineBytes)
        guard unsafe start.contains(UInt8(ascii: "\n")) else { throw .malformedReply(reason: "a line without an end") }
    }

    private var errorText: String {
        unsafe withUnsafeBytes(of: reader.pointee.errstr) { unsafe RedisErrorText.printable($0.prefix { $0 != 0 }) }
    }
}

// MARK: - Functions called by hiredis

extension RedisReplyReader {
    /// Stands for every reply object: hiredis only passes it on, and takes nil for "out of memory".
    private static var object: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: 1) }

    private static func makeFunctions() -> redisReplyObjectFunctions {
        var functions = redisReplyObjectFunctions()
        unsafe functions.createString = { task, bytes, count in
            guard let task = unsafe task else { return nil }
            unsafe RedisReplyReader.with(task) {
                unsafe $0.readString(task, UnsafeRawBufferPointer(start: bytes, count: count))
            }
            return unsafe RedisReplyReader.object
        }
        unsafe functions.createArray = { task, _ in
            guard let task = unsafe task else { return nil }
            if unsafe task.pointee.parent == nil { unsafe RedisReplyReader.with(task) { $0.beginArray() } }
            return unsafe RedisReplyReader.object
        }
        unsafe functions.createInteger = { task, value in
            guard let task = unsafe task else { return nil }
            if unsafe task.pointee.parent == nil { unsafe RedisReplyReader.with(task) { $0.reply = .integer(value) } }
            return unsafe RedisReplyReader.object
        }
        unsafe functions.createNil = { task in
            guard let task = unsafe task else { return nil }
            if unsafe task.pointee.parent == nil { unsafe RedisReplyReader.with(task) { $0.reply = .null } }
            return unsafe RedisReplyReader.object
        }
        unsafe functions.freeObject = { _ in }
        return functions
    }

    private static func with(_ task: UnsafePointer<redisReadTask>, _ body: (RedisReplyReader) -> Void) {
        guard let pointer = unsafe task.pointee.privdata else { return }
        unsafe Unmanaged<RedisReplyReader>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }

    private func beginArray() {
        reply = .array
        texts.removeAll()
        word = .other
    }

    private func readString(_ task: UnsafePointer<redisReadTask>, _ bytes: UnsafeRawBufferPointer) {
        guard violation == nil else { return }
        guard bytes.count <= maximumReplyBytes else {
            violation = .replyTooLarge(limit: maximumReplyBytes)
            return
        }
        guard let array = unsafe task.pointee.parent else { return unsafe readScalar(type: task.pointee.type, bytes) }
        guard unsafe array.pointee.parent == nil,
            unsafe task.pointee.type == REDIS_REPLY_STRING || task.pointee.idx == 0
        else {
            return
        }
        if keepsArrays {
            return unsafe texts.append(ByteBuffer(bytes: bytes))
        }
        switch unsafe task.pointee.idx {
        case 0: unsafe readFirstWord(bytes, elementCount: Int(array.pointee.elements))
        case 1 where word == .message, 2 where word == .patternMessage: unsafe readChannel(bytes)
        case 2 where word == .message, 3 where word == .patternMessage: unsafe deliver(bytes)
        default: break
        }
    }

    private func readScalar(type: CInt, _ bytes: UnsafeRawBufferPointer) {
        switch type {
        case REDIS_REPLY_ERROR: reply = unsafe .error(RedisErrorText.printable(bytes))
        case _ where unsafe !keepsArrays && Self.isPong(bytes): reply = .pong
        case REDIS_REPLY_STRING: reply = unsafe .bulk(ByteBuffer(bytes: bytes))
        default: reply = .status
        }
    }

    private func readFirstWord(_ bytes: UnsafeRawBufferPointer, elementCount: Int) {
        switch (bytes.count, elementCount) {
        case (7, 3) where unsafe Self.equal(bytes, "message"):
            word = .message
            channel.clear()
        case (8, 4) where unsafe Self.equal(bytes, "pmessage"):
            word = .patternMessage
            channel.clear()
        case (9, 3) where unsafe Self.equal(bytes, "subscribe"), (10, 3) where unsafe Self.equal(bytes, "psubscribe"):
            word = .subscribe
            reply = .subscribed
        case (4, _) where unsafe Self.isPong(bytes): reply = .pong
        default: break
        }
    }

    /// Redis replies `pong` within subscriptions and `PONG` elsewhere; other servers reply `PONG` everywhere.
    private static func isPong(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe equal(bytes, "pong") || equal(bytes, "PONG")
    }

    private static func equal(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        guard let start = bytes.baseAddress, bytes.count == word.utf8CodeUnitCount else { return false }
        return unsafe memcmp(start, word.utf8Start, bytes.count) == 0
    }

    private func readChannel(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.maximumChannelBytes else {
            violation = .malformedReply(reason: "a channel's name of \(bytes.count) bytes")
            return
        }
        unsafe channel.writeBytes(bytes)
    }

    private func deliver(_ payload: UnsafeRawBufferPointer) {
        reply = .message(byteCount: payload.count)
        unsafe channel.withUnsafeReadableBytes { name in
            unsafe delegate?.received(
                payload.assumingMemoryBound(to: UInt8.self).span, on: name.assumingMemoryBound(to: UInt8.self).span)
        }
    }
}

/// The text of a server's error, made fit for one line of a log.
enum RedisErrorText {
    static let maximumBytes = 200

    /// At most 200 bytes, cut at the first quotation mark: servers and proxies quote the arguments of commands they don't know,
    /// and the argument of AUTH is the password. `…` stands for what is cut. Bytes that aren't printable ASCII become `?`.
    static func printable(_ bytes: some Sequence<UInt8>) -> String {
        var line: [UInt8] = []
        for byte in bytes.prefix(maximumBytes) {
            if byte == UInt8(ascii: "`") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                return String(decoding: line, as: UTF8.self) + "…"
            }
            line.append((0x20..<0x7F).contains(byte) ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: line, as: UTF8.self)
    }
}
