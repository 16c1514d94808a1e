import NIOCore

/// Commands: publishing and reading.
extension RedisBroker {
    package func publish(_ batch: RedisPublishBatch) -> EventLoopFuture<Void> {
        guard batch.messageCount > 0 else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        unsafe send(.publish(batch, promise), batch.commands)
        return promise.futureResult
    }

    package func obstacle(toPublishing byteCount: Int) -> RedisError? {
        guard let commands, !isShutDown else { return .notConnected }
        return commands.obstacle(toSending: byteCount)
    }

    package func get(_ key: [UInt8], upTo limit: Int) -> EventLoopFuture<ByteBuffer?> {
        guard !isShutDown else { return eventLoop.makeFailedFuture(RedisError.shutDown) }
        guard let commands else { return eventLoop.makeFailedFuture(RedisError.notConnected) }
        return keys.get(key, upTo: limit, over: commands)
    }

    package var hasScripts: Bool { true }

    package func evaluate(
        _ script: StaticString, keys names: [[UInt8]], arguments: [[UInt8]]
    ) -> EventLoopFuture<[ByteBuffer]> {
        guard !isShutDown else { return eventLoop.makeFailedFuture(RedisError.shutDown) }
        guard let commands else { return eventLoop.makeFailedFuture(RedisError.notConnected) }
        let command = RedisCommand.evaluate(script, keys: names, arguments: arguments)
        return keys.query(.evaluate, command, over: commands).map { $0.texts }
    }

    /// Reads a key, and sets it first if it doesn't exist. Needs the right to `EVAL`. Fails as `get` does.
    package func get(_ key: [UInt8], orSet value: [UInt8]) -> EventLoopFuture<ByteBuffer?> {
        query(.get, RedisCommand.get(key, orSet: value)).map { $0.bytes }
    }

    /// The channels that have subscribers at present (`PUBSUB CHANNELS`), in the server's order. Fails as `publish` does.
    ///
    /// Patterns do not count as subscriptions there.
    package func activeChannels() -> EventLoopFuture<[ByteBuffer]> {
        query(.channels, RedisCommand.words(["PUBSUB", "CHANNELS"])).map { $0.texts }
    }

    private func query(_ command: RedisError.Command, _ bytes: ByteBuffer) -> EventLoopFuture<RedisReply> {
        let promise = eventLoop.makePromise(of: RedisReply.self)
        send(.query(command, promise), bytes)
        return promise.futureResult
    }

    private func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard !isShutDown else { return command.fail(.shutDown) }
        guard let commands else { return command.fail(.notConnected) }
        commands.send(command, bytes)
    }
}
