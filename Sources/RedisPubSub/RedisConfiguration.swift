/// The limits and times of a ``RedisBroker``.
package struct RedisConfiguration: Sendable {
    /// Bounds connecting, AUTH, SELECT and SUBSCRIBE together. Default 5 s.
    package var connectTimeout: Duration = .seconds(5)
    /// Bounds the wait for the answer of one PUBLISH or GET. Default 2 s: a browser's `join` waits for it.
    package var commandTimeout: Duration = .seconds(2)
    /// A connection that has brought nothing for this long is sent a PING; a quiet channel is no fault. Default 5 s.
    package var pingInterval: Duration = .seconds(5)
    /// A PING unanswered for this long means that the peer is gone. Default 3 s, so that a peer that dies without a word
    /// is noticed within 13 s: `2 * pingInterval + pingTimeout` while the timeout is the shorter one.
    package var pingTimeout: Duration = .seconds(3)
    /// So often a subscription is sent a PING whose answer proves that all that was published before has come: the precision
    /// with which the start of a loss is known. Default 1 s.
    package var provingInterval: Duration = .seconds(1)
    /// So often the server is asked how much output waits for our subscription. Default 1 s.
    package var watchInterval: Duration = .seconds(1)
    /// So often a sentinel is asked for the master. Default 1 s, to follow a failover within 5 s.
    package var sentinelInterval: Duration = .seconds(1)
    /// So long a replaced master is still listened to, unless it drops us before: emitters stay with it until a sentinel
    /// demotes it and cuts all its clients off, some 10 s after it has named the new one. Default 20 s.
    package var lingerTime: Duration = .seconds(20)
    /// The largest reply in bytes, hence the largest published message. Default 64 MiB; a larger one costs the connection,
    /// since RESP has no way to skip it unread. Memory: up to this much, twice for a moment while the parser's buffer grows.
    package var maximumReplyBytes = 64 << 20
    /// The number of commands that may wait for their answer; more are refused at once. Default: the bytes decide.
    package var maximumPendingCommands = Int.max
    /// The bytes of the commands that may wait for their answer, each with some for its entry; more are refused at once, but
    /// a command of any size is taken while none waits. Default 64 MiB: a second's pause of Redis at 60 MB/s.
    package var maximumPendingBytes = 64 << 20
    /// When to connect again.
    package var backoff = Backoff()
    /// What to advise where rights are missing.
    var rights = RedisRights()

    package init() {}

    /// Takes over what the options of a URL say.
    mutating func apply(_ options: RedisURLOptions) {
        if let timeout = options.connectTimeout { connectTimeout = timeout }
        if let timeout = options.commandTimeout { commandTimeout = timeout }
        if let interval = options.pingInterval { pingInterval = interval }
    }

    /// Delays between attempts to connect: doubling, capped, with jitter, so that a fleet does not come back in step.
    package struct Backoff: Sendable {
        /// The delay before the first retry. Default 0.1 s.
        package var initial: Duration = .milliseconds(100)
        /// The delays double up to this. Default 5 s. A connection that lived shorter than this counts as a failure too.
        package var maximum: Duration = .seconds(5)
        /// The delay after the server refused AUTH, SELECT or SUBSCRIBE: only a person can mend that. Default 10 s.
        package var afterRefusal: Duration = .seconds(10)

        package init() {}

        /// The delay before the retry that follows `failures` failures in a row.
        ///
        /// - Parameter jitter: from 0 to 1; the delay lies between one half of its full length and all of it.
        package func delay(failures: Int, refused: Bool, jitter: Double) -> Duration {
            var full = refused ? afterRefusal : min(initial, maximum)
            for _ in 1..<min(max(failures, 1), 64) where full < maximum { full = min(full * 2, maximum) }
            return full * (0.5 + min(max(jitter, 0), 1) / 2)
        }
    }
}
