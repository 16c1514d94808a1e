/// Messages, taken from where they stand.
extension RedisReplyReader {
    /// A message whose channel is longer than is usual, and cut, is for the parser.
    private static let maximumHeaderBytes = 1 << 10

    /// Hands over the messages that stand whole at `start`, from where they stand; what is cut off by the end of the bytes
    /// is kept for the next read.
    ///
    /// - Returns: where something else begins, or the bytes end; nil when nothing more is wanted.
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

    /// Takes as many bytes as a message lacks that earlier reads have brought the beginning of.
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
                // The header byte by byte: what follows it belongs to the next message as soon as its end is known.
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
            // No message after all, or one that the parser has to complain about.
            let begun = cutMessage
            forgetCutMessage()
            var result: Result<Bool, RedisError> = .success(true)
            begun.withUnsafeBytes { begun in
                do throws(RedisError) { result = .success(try parse(begun, handle)) } catch { result = .failure(error) }
            }
            return try result.get() ? position : nil
        }
    }

    /// One large message isn't paid for ever after.
    private func forgetCutMessage() {
        if cutMessage.capacity > 1 << 20 { cutMessage = [] } else { cutMessage.removeAll(keepingCapacity: true) }
    }

    private func isWithinBounds(_ byteCount: Int, channelBytes: Int) -> Bool {
        byteCount <= maximumReplyBytes && channelBytes <= Self.maximumChannelBytes
    }
}
