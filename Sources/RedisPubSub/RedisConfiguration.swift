/// The limits and times of a ``RedisBroker``.
package struct RedisConfiguration: Sendable {
    /// Bounds connecting, AUTH, SELECT and SUBSCRIBE together. Default 5 s.
    package var connectTimeout: Duration = .seconds(5)
    /// Bounds the wait for the reply to one PUBLISH or GET. Default 2 s: a browser's `join` waits for it.
    package var commandTimeout: Duration = .seconds(2)
    /// PING is sent on a connection that has received nothing for this long. Default 5 s.
    package var pingInterval: Duration = .seconds(5)
    /// The peer counts as gone when nothing follows a PING for this long. Default 3 s, so that the silent death of a peer is
    /// noticed within 13 s: `2 * pingInterval + pingTimeout`, if the timeout is the shorter of the two.
    package var pingTimeout: Duration = .seconds(3)
    /// The interval of the PINGs by which a subscription learns that all earlier messages have arrived: the precision of the
    /// start of a loss. Default 1 s.
    package var provingInterval: Duration = .seconds(1)
    /// How often the server is asked how much output waits for our subscription. Default 1 s.
    package var watchInterval: Duration = .seconds(1)
    /// How often a sentinel is asked for the master. Default 1 s, to follow a failover within 5 s.
    package var sentinelInterval: Duration = .seconds(1)
    /// How long the subscription at a replaced master is kept, unless it ends before. Emitters stay there until a sentinel
    /// demotes that master and disconnects its clients, some 10 s after naming the new one. Default 20 s.
    package var lingerTime: Duration = .seconds(20)
    /// The largest reply in bytes, hence the largest published message. Default 64 MiB. A larger one ends the connection, since
    /// RESP has no way to skip it. Memory: up to this much, and twice as much while the parser's buffer grows.
    package var maximumReplyBytes = 64 << 20
    /// The number of commands that may wait for their reply; more are refused at once. Default: no limit but the bytes.
    package var maximumPendingCommands = Int.max
    /// The bytes of the commands that may wait for their reply, with 128 more for each; further ones are refused at once. A
    /// command of any size is accepted while no other waits. Default 64 MiB: one second without replies at 60 MB/s.
    package var maximumPendingBytes = 64 << 20
    /// The delays before connecting again.
    package var backoff = Backoff()
    /// The user and channels named in advice about missing rights.
    var rights = RedisRights()

    package init() {}

    /// Applies the options of a URL.
    mutating func apply(_ options: RedisURLOptions) {
        if let timeout = options.connectTimeout { connectTimeout = timeout }
        if let timeout = options.commandTimeout { commandTimeout = timeout }
        if let interval = options.pingInterval { pingInterval = interval }
    }

    /// Tightens the times for a connection to a sentinel, which is asked once a second: one that takes longer is left for the
    /// next one.
    mutating func limitForSentinels() {
        connectTimeout = min(connectTimeout, .seconds(1))
        commandTimeout = min(commandTimeout, .seconds(1))
        backoff.maximum = min(backoff.maximum, .seconds(1))
        backoff.afterRefusal = min(backoff.afterRefusal, .seconds(2))
    }

    /// Delays between attempts to connect: doubling, capped, with jitter, so that many servers don't reconnect in step.
    package struct Backoff: Sendable {
        /// The delay before the first retry. Default 0.1 s.
        package var initial: Duration = .milliseconds(100)
        /// The delays double up to this. Default 5 s. A connection that lived shorter than this counts as a failure too.
        package var maximum: Duration = .seconds(5)
        /// The delay after the server refused AUTH, SELECT or SUBSCRIBE: only a person can fix that. Default 10 s.
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
