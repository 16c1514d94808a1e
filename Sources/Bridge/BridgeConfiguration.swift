import Bytes
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// Every setting of the bridge, with its unit, its default and the reason for it. ``BridgeLimits`` has the limits that no option changes.
package struct BridgeConfiguration: Sendable {
    /// Allowed origins of pages; `*` allows any. Default: the original's.
    package var origins: [String] = ["http://localhost:7788"]
    /// The secret of `POST /emit`; nil or empty turns the endpoint off (404).
    package var emitSecret: String?
    /// The path of Engine.IO, with slashes at both ends.
    package var path = "/socket.io/"
    /// Redis channels to subscribe to; HTTP emits and acks are published on the first.
    package var redisChannels = ["flask-socketio"]
    /// The reading of a list in the `data` of a JSON message.
    package var listConvention = PubSubMessageDecoder.ListConvention.learned
    /// The fast lane reads most emits without a parser. False only in tests, which compare both ways (``EmitFastLane``).
    package var usesFastLane = true
    /// The format of published HTTP emits; nil follows the other servers on the channel.
    package var publishFormat: PubSubMessageEncoder.Format?
    /// Namespaces a browser may open; nil allows any, since emitters choose them.
    package var namespaces: Set<ByteString>?

    /// Heartbeat and handshake deadlines.
    package var timing = EngineIOTiming()
    /// Bytes of one packet or POST body from a client; announced in the handshake. Default: python-engineio's.
    package var maxPayload = 1_000_000
    /// Bytes of incomplete messages and bodies, all connections together. Default (nil): 64 MiB or sixteen of the largest,
    /// whichever is more. This lets hundreds of honest clients be in the middle of a large message, and keeps ten thousand clients
    /// that never finish one from filling the memory.
    package var maxUnfinishedBytes: Int?
    package var unfinishedLimit: Int { maxUnfinishedBytes ?? max(64 << 20, 16 * max(maxPayload, maxEmitBodyBytes)) }
    /// Bytes of a `POST /emit` body. Default: 1 MB, far above any reasonable event.
    package var maxEmitBodyBytes = 1_000_000
    /// Bytes a client's outgoing queue may hold before its transport is closed. Default (nil): two of the largest messages,
    /// twice `maxMessageBytes`, since a healthy client that polls gets nothing between two polls. Clients of a room share its
    /// packets, so many slow clients together hold each emitted packet once.
    package var maxQueuedBytes: Int?
    package var queueLimit: Int { maxQueuedBytes ?? 2 * maxMessageBytes }
    /// The time a client may take nothing while more than 1 MiB waits for it. Default: longer than a phone needs to change its
    /// network, and short enough that memory above 1 MiB per client is soon free again.
    package var stallTimeout = Duration.seconds(10)
    /// Bytes NIO may hold for one websocket before packets wait in the queue above.
    package var writeBufferBytes = 64 << 10
    /// Events for the same rooms are joined into one packet up to this many bytes. Limits what a slow client gets at once.
    package var maxJoinedBytes = 16 << 10
    /// Open connections. Default: as many as the limit on file descriptors allows, decided at start.
    package var maxConnections = 1_000_000
    /// Rooms one client may be in. Default: above any real page, and low enough to limit the memory of one client.
    package var maxRoomsPerSocket = 1024
    /// Bytes of a room's or namespace's name that clients send.
    package var maxNameBytes = 1024
    /// Namespaces one connection may open.
    package var maxNamespacesPerSession = 64
    /// Acks one client may owe; beyond, the oldest is forgotten. Pages that never ack must not fill memory.
    package var maxPendingAcks = 256

    /// Joins of one socket that wait for Redis at a time; each costs two GETs.
    package var maxPendingJoins = 64

    /// Bytes of a room-space's secret. Default: far above any password. A longer value is no secret, and would delay other replies
    /// of Redis.
    package var maxSecretBytes = 64 << 10
    /// Bytes of commands that may wait for Redis, mostly messages to publish. Default: some seconds of a busy server's emits while
    /// Redis pauses. Beyond, `POST /emit` reports that a message reaches this server's clients only.
    package var maxRedisQueueBytes = 64 << 20

    /// Bytes of one published message; larger ones are refused unread. Default: half of the output that makes Redis disconnect a
    /// subscriber.
    package var maxMessageBytes = 16 << 20

    /// Rules by room. Default: messages are kept only if they ask for it, and slow clients are disconnected.
    package var rules = RoomRules()
    /// Bytes of all kept messages; the least recently used go first. 0 turns keeping off. Default: sixty thousand values of 1 kB, and
    /// little beside the memory of some thousand clients.
    package var keepBytes = 64 << 20
    /// The time for which a message is kept if neither it nor a rule has one. Default: a day, since older values are probably those of
    /// something that no longer exists.
    package var keepAge = Duration.seconds(86_400)
    /// Bytes of one room's kept messages, if no rule has another bound. Default: what a page on a slow phone may get at a join, and
    /// one room takes 1/64 of the memory for all.
    package var keepRoomBytes = 1 << 20
    /// Kept messages of one room, if no rule has another bound. Default: more than a page can show, and as many packets as a client's
    /// queue keeps memory for.
    package var keepRoomValues = 1000
    /// The time in which a socket may recover its connection. Nil turns recovery off, which is the default: a packet then has no offset,
    /// and nothing is logged for sockets that are away.
    package var recovery: Duration?
    /// Bytes of the messages that are held for sockets which recover, all rooms together. Default: as for kept messages; a minute of
    /// 1,000 messages of 1 kB a second.
    package var recoveryBytes = 64 << 20
    /// The same for one room, so that one busy room leaves memory to the others. Default: 1/16 of all, and four times what a client on a
    /// slow phone loads in ten seconds.
    package var recoveryRoomBytes = 4 << 20

    /// The rule for messages that are kept without one.
    var keepDefaults: KeepRule {
        KeepRule(age: keepAge, key: nil, maxValues: keepRoomValues, maxBytes: keepRoomBytes)
    }

    /// The interval of canaries: messages that this process sends to itself through Redis, to prove that others' would arrive. Nil
    /// turns them off. Default: rare enough to be no load, often enough for `canaryLimit`.
    package var canaryInterval: Duration? = .seconds(5)
    /// The process isn't ready once its last canary that came back is older than this. Default: two may be lost.
    package var canaryLimit = Duration.seconds(12)
    /// The time an event loop may hang before `/livez` calls the process dead.
    package var stuckLoopLimit = Duration.seconds(30)
    /// Gaps of the subscription that are remembered.
    package var maxGaps = 64
    /// Senders in the table of senders.
    package var maxSenders = 1024
    /// `/livez`, `/readyz` and `/metrics` have their own listener, and the public one doesn't serve them.
    package var hasAdminListener = false
    /// The Redis server for display, without password.
    package var redisName = "none"
    /// The version for display.
    package var version = ""

    /// The time a request's head may take, from the first byte or the accept.
    package var headTimeout = Duration.seconds(10)
    /// The time a request's body may take.
    package var bodyTimeout = Duration.seconds(30)
    /// The time a kept-alive connection may be idle.
    package var idleTimeout = Duration.seconds(75)
    /// The time a websocket may take to return our close frame, and a shutdown may take to finish.
    package var closeTimeout = Duration.seconds(3)

    /// Distinguishes this process's sids from those of others behind the same load balancer.
    package var instance = SessionID.Instance()

    package init() {}
}

/// The limits that no option changes, with their units and reasons.
package enum BridgeLimits {
    // MARK: Memory

    /// Memory that decoding may keep for ever. Larger messages come in bursts, so their memory is given back some time later
    /// (`memoryInterval`) and not after each message.
    static let keptScratchBytes = 256 << 10
    static let memoryInterval = TimeAmount.seconds(10)
    /// JSON of a client's packet above this size makes its parser give memory back afterwards.
    static let keptDocumentBytes = 64 << 10
    /// Packets for which a client's queue keeps memory once it is empty.
    static let keptQueuedPackets = 1024

    // MARK: Kept messages

    /// Memory that a kept message takes beyond its bytes and names, and a room that has some (measured, docs/performance.md).
    static let keptValueOverheadBytes = 550
    static let keptRoomOverheadBytes = 300
    /// A write of kept messages to Redis, and a page read from there: some milliseconds of its time.
    static let keptBatchBytes = 256 << 10
    static let keptPageBytes = 1 << 20
    static let keptPageFields = 16
    /// How long the end of the process waits until kept messages are written.
    static let keptShutdownTime = TimeAmount.seconds(1)
    /// How long a join waits for kept messages that are being read from Redis.
    static let keptJoinTime = TimeAmount.seconds(1)
    /// Clients that join before everything is read from Redis, after a start; they get the rest then. Beyond, later ones don't.
    static let keptEarlyJoins = 50_000
    /// A longer kept message isn't copied for a client that joins, and gets no offset of its own.
    static let keptCopyBytes = 4 << 10
    /// Rooms in which one message is kept: far above what emitters name.
    static let keptRoomsOfMessage = 1000
    /// Forgotten values that are remembered, lest a stored value come back.
    static let keptRemovals = 4096

    // MARK: Delivery

    /// Packets of one client are joined up to this size: copying that much costs less than the system call that it saves.
    static let joinedWriteBytes = 16 << 10
    /// A polling response takes no further packet beyond this size, since it is a copy of its own for each client.
    static let pollResponseBytes = 1 << 20
    /// A batch of HTTP emits of this size is worth a write to Redis of its own.
    static let publishBatchBytes = 256 << 10

    /// Packets that a client asked for itself, such as acks, may wait up to this size: more than the acks of one POST full of
    /// events.
    static let solicitedBytes = 1 << 20
    /// More than this waiting for a client that takes nothing is a stall: some thousands of typical events.
    static let stallBytes = 1 << 20
    /// The rate of a slow phone.
    static let slowestBytesPerSecond = 100_000
    /// Bytes on their way to a slow client that may go before its close frame: about what such a phone takes within
    /// `closeTimeout`.
    static let bytesBeforeClose = 256 << 10
    /// Slow clients whose next request each event loop refuses with the reason; the others get that of any ended session.
    static let rememberedSlowClients = 1024

    // MARK: Connections

    /// Sockets are served this long before other tasks of the event loop; a message that arrives meanwhile waits that long.
    static let socketTurn = TimeAmount.milliseconds(2)
    /// Bytes read from one socket before the next socket is served: about a thousand small packets.
    static let socketReadBytes = 16 << 10
    /// The longest head of a websocket request that is read without NIO; a browser with cookies sends about 1 kB.
    static let webSocketHeadBytes = 8192
    /// Lines of such a head: fewer than the HTTP parser's 256 header lines.
    static let webSocketHeadLines = 100
    /// Connections of the listener for operators; scrapers and probes are few.
    static let adminConnections = 256
    /// A longer list of allowed origins isn't repeated in every line of the log.
    static let shownOriginListBytes = 1000

    // MARK: Recovery

    /// Bytes of the sockets on one event loop whose clients may come back, by the estimates below: some ten thousand sockets.
    static let parkedBytes = 64 << 20
    /// The memory of such a socket with its closed session, and of each of its rooms.
    static let parkedSocketBytes = 1200
    static let parkedRoomBytes = 160
    /// The memory of an entry in the log of events beside its packet, and of the list of a room.
    static let logEntryBytes = 160
    static let logRoomBytes = 320
    /// Rooms that a backend has taken a client out of, and from which it may have missed messages before.
    static let formerRooms = 64
    /// Connections being recovered, and commands of backends that came meanwhile.
    static let pendingRecoveries = 100_000
    static let commandsDuringRecovery = 100_000

    // MARK: Messages

    /// Redis's own default limit for the output of a slow subscriber. A message draws a warning beyond a quarter of it, or of
    /// `--max-message` where that is lower.
    static let redisOutputBytes = 32 << 20
    /// Refused senders and causes that the log remembers; beyond, all are forgotten, so that a flood of senders repeats itself
    /// at worst.
    static let explainedRefusals = 1024

    // MARK: Rules

    /// Rules, since each may be compared with each message.
    static let rules = 1000
    /// Bytes of a rule: three names of `maxNameBytes` and the other options.
    static let ruleLineBytes = 4096
    /// Bytes of a text with rules: the most rules, with a comment of ten lines each.
    package static let ruleFileBytes = 1 << 20
    /// Wrong lines of a text that are reported, and warnings about rules; so many scroll off no terminal.
    static let shownRuleErrors = 20
    /// The range of a kept message's age. A value that nobody has renewed in a year is out of date.
    package static let keepAges = Duration.milliseconds(50)...Duration.seconds(366 * 86_400)
    /// The ranges of a room's bounds.
    package static let keepRoomValues = 1...1_000_000
    package static let keepRoomBytes = 1...(1 << 40)

    // MARK: Refused clients

    /// Bytes of a name that a refused client sent; strangers choose them.
    static let refusedNameBytes = 256
    /// Each cause is logged once in this time: a refused client tries again every few seconds.
    static let refusalLogInterval = TimeAmount.minutes(1)
    /// Origins named in the log within that time. Real pages have a handful; somebody who invents more must fill neither memory
    /// nor the log.
    static let loggedOrigins = 64
    /// Refusals of one cause that each event loop remembers for `ws-emit explain`; invented names of one cause push out no other
    /// cause.
    static let recentRefusalsPerCause = 16

    // MARK: Canaries and gaps

    /// Canaries under way: a slow one still counts, and of a dead channel's the last few are enough.
    static let pendingCanaries = 16
    /// How long the last gap waits for its cause before pages are told of it.
    static let gapExplanationTimeout = TimeAmount.seconds(1)

    // MARK: Questions of operators

    /// The time that the slowest event loop may take for its part of `/metrics` and `/explain`.
    static let collectTimeout = TimeAmount.seconds(2)
    /// Senders with series of their own in `/metrics`, the busiest, and senders in `/explain`.
    static let shownSenders = 20
    /// Refusals in `/explain`, the latest.
    static let shownRefusals = 100
    /// Senders and refusals older than this are left out of `/explain`.
    static let recentSenderWindow = TimeAmount.minutes(10)
    static let recentRefusalWindow = TimeAmount.hours(1)
    /// Rooms of an emit that are looked up for its report, and names of a kind in one report.
    static let reportedRooms = 20
    static let reportedNames = 20
    /// Namespaces searched for a room that is empty: strangers may open many.
    static let searchedNamespaces = 1000
    /// Names compared on one event loop, which takes a millisecond or two, each up to its first bytes; similar names reported.
    static let comparedNames = 2_000
    static let comparedNameBytes = 64
    static let similarNames = 5
}
