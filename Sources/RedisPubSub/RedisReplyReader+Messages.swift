/// Messages found in the bytes read, without the parser and without a copy.
extension RedisReplyReader {
    /// A cut message with more bytes before its last header goes to the parser.
    private static let maximumHeaderBytes = 1 << 10

    /// Passes the complete messages from `start` on to the delegate, without copying them; the beginning of a message at the end
    /// of the bytes is kept for the next read.
    ///
    /// - Returns: where another reply begins, or the bytes end; nil when `handle` has returned false.
    func takeMessages(
        from bytes: UnsafeRawBufferPointer, at start: Int, _ delegate: any PubSubDelegate,
        _ handle: (RedisReply) throws(RedisError) -> Bool
    ) throws(RedisError) -> Int? {
        var position = start
        if !cutMessage.isEmpty {
            guard let next = try completeCutMessage(from: bytes, at: start, delegate, handle) else { return nil }
            position = next
            if !cutMessage.isEmpty || unfinishedBytes > 0 { return position }
        }
        while position < bytes.count {
            switch RedisMessageFrame.find(in: bytes, at: position) {
            case .found(let frame) where isWithinBounds(frame.end - position, channelBytes: frame.channel.count):
                delegate.received(
                    UnsafeRawBufferPointer(rebasing: bytes[frame.payload]),
                    on: UnsafeRawBufferPointer(rebasing: bytes[frame.channel]))
                position = frame.end
                guard try handle(.message(byteCount: frame.payload.count)) else { return nil }
            case .cut(let byteCount) where isWithinBounds(byteCount ?? 0, channelBytes: 0):
                guard byteCount != nil || bytes.count - position <= Self.maximumHeaderBytes else { return position }
                cutMessage.append(contentsOf: bytes[position...])
                return bytes.count
            default: return position
            }
        }
        return position
    }

    /// Takes the bytes that complete the message begun by earlier reads.
    private func completeCutMessage(
        from bytes: UnsafeRawBufferPointer, at start: Int, _ delegate: any PubSubDelegate,
        _ handle: (RedisReply) throws(RedisError) -> Bool
    ) throws(RedisError) -> Int? {
        var position = start
        while true {
            let search = cutMessage.withUnsafeBytes { RedisMessageFrame.find(in: $0, at: 0) }
            switch search {
            case .cut(let byteCount) where isWithinBounds(byteCount ?? 0, channelBytes: 0):
                guard byteCount != nil || cutMessage.count <= Self.maximumHeaderBytes else { break }
                if position == bytes.count { return position }
                // Byte by byte within the header: until the message's length is known, later bytes may belong to the next one.
                let lacking = byteCount.map { $0 - cutMessage.count } ?? 1
                let end = min(bytes.count, position + lacking)
                cutMessage.append(contentsOf: bytes[position..<end])
                position = end
                continue
            case .found(let frame) where isWithinBounds(frame.end, channelBytes: frame.channel.count):
                cutMessage.withUnsafeBytes { message in
                    delegate.received(
                        UnsafeRawBufferPointer(rebasing: message[frame.payload]),
                        on: UnsafeRawBufferPointer(rebasing: message[frame.channel]))
                }
                forgetCutMessage()
                return try handle(.message(byteCount: frame.payload.count)) ? position : nil
            default: break
            }
            // It is no message after all, or one that the parser has to reject.
            let begun = cutMessage
            forgetCutMessage()
            var result: Result<Bool, RedisError> = .success(true)
            begun.withUnsafeBytes { begun in
                do throws(RedisError) { result = .success(try parse(begun, handle)) } catch { result = .failure(error) }
            }
            return try result.get() ? position : nil
        }
    }

    /// The memory of a large message is freed.
    private func forgetCutMessage() {
        if cutMessage.capacity > 1 << 20 { cutMessage = [] } else { cutMessage.removeAll(keepingCapacity: true) }
    }

    private func isWithinBounds(_ byteCount: Int, channelBytes: Int) -> Bool {
        byteCount <= maximumReplyBytes && channelBytes <= Self.maximumChannelBytes
    }
}
