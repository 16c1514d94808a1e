import JSONCodec
import PubSubMessages
import SocketIOProtocol

/// Every number and name the bridge can be told; units and reasons beside each.
package struct BridgeConfiguration: Sendable {
    /// Origins that browsers may come from; `*` allows any. Default: the original's.
    package var origins: [String] = ["http://localhost:7788"]
    /// What `POST /emit` asks for; nil or empty turns the endpoint off (404).
    package var emitSecret: String?
    /// Where Engine.IO answers, with slashes at both ends.
    package var path = "/socket.io/"
    /// Redis channels to subscribe to; HTTP emits and acks are published on the first.
    package var redisChannels = ["flask-socketio"]
    /// How a list in the `data` of a JSON message is read.
    package var listReading = PubSubMessageDecoder.ListReading.learned
    /// Whether most emits are read without a parser. False only in tests, which compare both ways (``EmitFastLane``).
    package var usesFastLane = true
    /// How HTTP emits are published; nil chooses by what the other servers on the channel publish.
    package var publishForm: PubSubMessageEncoder.Form?
    /// Namespaces a browser may open; nil allows any, since emitters choose them.
    package var namespaces: Set<ByteString>?

    /// Heartbeat and handshake deadlines.
    package var timing = EngineIOTiming()
    /// Bytes of one packet or POST body from a client; announced in the handshake. Default: python-engineio's.
    package var maxPayload = 1_000_000
    /// Bytes of messages and bodies of clients whose end has not come, of all connections together. Default (nil): 64 MiB, or
    /// sixteen of the largest where these are larger. Hundreds of honest clients can be in the middle of a large message, and
    /// ten thousand that never end one can't fill the memory.
    package var maxUnfinishedBytes: Int?
    var unfinishedLimit: Int { maxUnfinishedBytes ?? max(64 << 20, 16 * max(maxPayload, maxEmitBodyBytes)) }
    /// Bytes of a `POST /emit` body. Default: 1 MB, far above what belongs in an event.
    package var maxEmitBodyBytes = 1_000_000
    /// Bytes a client's outgoing queue may hold before its transport is closed. Default (nil): two of the largest messages,
    /// twice `maxMessageBytes`, since a healthy client that polls gets nothing between two polls. Clients of a room share
    /// its packets, so that what many slow ones hold is what was emitted until they are closed, not this bound times them.
    package var maxQueuedBytes: Int?
    /// How long a client may take nothing while more than 1 MiB waits for it. Default: longer than a phone needs to change its
    /// network; what is beyond 1 MiB of memory for each is held no longer.
    package var stallTimeout = Duration.seconds(10)
    /// Bytes NIO may hold for one websocket before packets wait in the queue above.
    package var writeBufferBytes = 64 << 10
    /// Whether connections are accepted, and websockets read and written, without NIO.
    package var sendsDirectly = true
    /// Bytes of events for the same rooms that are joined into one packet; bounds what a slow client gets at once.
    package var maxJoinedBytes = 16 << 10
    /// Open connections. Default: what the descriptor limit leaves, decided at start.
    package var maxConnections = 1_000_000
    /// Rooms one client may have joined. Default: above any real page, and bounds what one client can make us store.
    package var maxRoomsPerSocket = 1024
    /// Bytes of a room's or namespace's name that clients send.
    package var maxNameBytes = 1024
    /// Namespaces one connection may open.
    package var maxNamespacesPerSession = 64
    /// Acks a client owes us; the oldest is forgotten beyond. Pages that never ack must not fill memory.
    package var maxPendingAcks = 256

    /// Joins of one socket that wait for Redis at a time; each costs two GETs.
    package var maxPendingJoins = 64

    /// Bytes of a room-space's secret. Default: far above any password; a longer value is no secret, and would hold up what
    /// else Redis has to answer.
    package var maxSecretBytes = 64 << 10
    /// Bytes of commands that may wait for Redis, mostly of messages to publish. Default: some seconds of a busy server's
    /// emits while Redis pauses; beyond, `POST /emit` says that a message reaches this server's clients only.
    package var maxRedisQueueBytes = 64 << 20

    /// Bytes of one published message; larger ones are refused unread. Default: half of what makes Redis itself cut a
    /// subscriber off.
    package var maxMessageBytes = 16 << 20

    /// How often this process sends itself a message through Redis, to know that it would hear others'; nil turns it off.
    /// Default: rare enough to be no load, often enough for `canaryLimit`.
    package var canaryInterval: Duration? = .seconds(5)
    /// Age of the last such message that came back from which on the process is not ready. Default: two may be lost.
    package var canaryLimit = Duration.seconds(12)
    /// How long an event loop may do nothing before `/livez` calls the process dead.
    package var stuckLoopLimit = Duration.seconds(30)
    /// Times without a subscription that are remembered.
    package var maxGaps = 64
    /// Senders that are accounted for.
    package var maxSenders = 1024
    /// Whether `/livez`, `/readyz` and `/metrics` have a listener of their own and the public one doesn't know them.
    package var hasAdminListener = false
    /// The Redis server as it may be shown: without password.
    package var redisName = "none"
    /// The version as it may be shown.
    package var version = ""

    /// How long a request's head may take, from the first byte or the accept.
    package var headTimeout = Duration.seconds(10)
    /// How long a request's body may take.
    package var bodyTimeout = Duration.seconds(30)
    /// How long a kept-alive connection may be idle.
    package var idleTimeout = Duration.seconds(75)
    /// How long a websocket may take to answer our close frame, and a shutdown to finish.
    package var closeTimeout = Duration.seconds(3)

    /// What tells this process's sids from those of others behind the same load balancer.
    package var instance = SessionID.Instance()

    package init() {}
}
