import NIOCore
import NIOPosix
import PubSubMessages
import RedisPubSub

/// Emits events to the Socket.IO clients of ws-emit, and of every other server on the same Redis channel.
///
/// ```swift
/// let emitter = try Emitter("redis://localhost:6379/0")
/// try await emitter.emit("update", ["time": 1], room: "time")
/// await emitter.close()
/// ```
///
/// One emitter serves a whole program, and any number of tasks at once. It has one connection to Redis, which it opens with
/// the first message, and again after each loss. Messages of one task arrive in order if the task awaits each.
///
/// Every method that publishes returns the number of subscribers that Redis counted. These are servers such as ws-emit, not
/// browsers: 0 means that no server listens on the channel, so nobody has received the message.
public final class Emitter: Sendable {
    /// The format of messages. ws-emit reads both; other servers may read only one.
    public enum Format: Hashable, Sendable {
        /// JSON, which servers of every python-socketio release read. Releases before 5.15.1 wrap a single array, several
        /// arguments, and bytes in one more array.
        case json
        /// A pickle of protocol 0 to 5. Servers up to python-socketio 5.13 read it correctly; later ones not at all.
        case pickle(protocol: Int = 2)
    }

    private let url: RedisURL
    private let channel: String
    private let format: Format
    private let timeout: Duration
    private let maximumPending: Int
    private let hostID = HostID.random()
    private let eventLoop: any EventLoop
    /// Empty until the first message.
    private let publisher: NIOLoopBoundBox<State?>

    private enum State {
        case open(ChannelPublisher)
        case closed
    }

    /// Prepares an emitter; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - url: `redis://[[user]:password@]host[:port][/db]`, `rediss://…` with TLS, `unix://[[user]:password@]/path/to/socket`,
    ///     `redis+sentinel://host,…/db/service`, `redis+cluster://host,…`. Default: a Redis on this machine.
    ///   - channel: the Redis channel. Default `flask-socketio`, that of Flask-SocketIO and ws-emit; a bare
    ///     python-socketio server listens on `socketio`.
    ///   - format: the format of messages. Default `.json`.
    ///   - timeout: how long a message may take at most, from the call to Redis's reply. While Redis is away the message is
    ///     tried again during the first half of this time. Default 10 seconds; at least 40 milliseconds.
    ///   - maximumPending: how many messages may wait for Redis's reply; more are refused at once, as are more than 64 MiB.
    ///     Default 1,024.
    /// - Throws: `invalidConfiguration`, with a sentence that never repeats a password.
    public init(
        _ url: String = "redis://localhost:6379/0", channel: String = "flask-socketio", format: Format = .json,
        timeout: Duration = .seconds(10), maximumPending: Int = 1_024
    ) throws(EmitterError) {
        do {
            self.url = try RedisURL(url)
        } catch {
            throw EmitterError(.invalidConfiguration, "\(error)")
        }
        if case .pickle(let version) = format, !(0...5).contains(version) {
            throw EmitterError(.invalidConfiguration, "there is no pickle protocol \(version): 0 to 5 exist")
        }
        guard !channel.isEmpty else {
            throw EmitterError(.invalidConfiguration, "the channel is empty: ws-emit listens on flask-socketio")
        }
        guard timeout >= .milliseconds(40), maximumPending >= 1 else {
            throw EmitterError(
                .invalidConfiguration, "the timeout must be 40 milliseconds or more, the pending messages at least 1")
        }
        self.channel = channel
        self.format = format
        self.timeout = timeout
        self.maximumPending = maximumPending
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        publisher = .makeEmptyBox(eventLoop: eventLoop)
    }

    deinit {
        let publisher = publisher
        eventLoop.execute {
            if case .open(let open)? = publisher.value { _ = open.shutdown() }
        }
    }

    /// Closes the connection. Messages that have no reply yet fail with `closed`, as do later ones.
    public func close() async {
        let publisher = publisher
        // A failure to close the connection doesn't matter here.
        try? await eventLoop.flatSubmit {
            let state = publisher.value
            publisher.value = .closed
            guard case .open(let open)? = state else { return publisher.eventLoop.makeSucceededVoidFuture() }
            return open.shutdown()
        }.get()
    }

    // MARK: Emitting

    /// Emits an event to the clients of one room, or to everybody.
    ///
    /// - Parameters:
    ///   - event: the event's name.
    ///   - arguments: the arguments of the page's function. A single `null` is no argument, as in Python.
    ///   - room: a room, or a client's sid. Default nil: everybody in the namespace.
    ///   - namespace: begins with a slash. Default `/`.
    ///   - skipSIDs: clients that don't receive it.
    ///   - keep: whether ws-emit keeps the message as the last value of its room, and gives it to clients that join later.
    ///     Default nil: as the rules of ws-emit say. Only a message to a room can be kept.
    ///   - key: tells the kept values of one event apart, such as the number of an article; at most 1,024 bytes. Default nil:
    ///     the event has one value.
    /// - Returns: the number of subscribers that Redis counted.
    @discardableResult
    public func emit(
        _ event: String, _ arguments: EventValue..., room: String? = nil, namespace: String = "/",
        skipSIDs: [String] = [], keep: Keep? = nil, key: String? = nil
    ) async throws(EmitterError) -> Int {
        try await emit(
            event, arguments: arguments, rooms: room.map { [$0] }, namespace: namespace, skipSIDs: skipSIDs, keep: keep,
            key: key)
    }

    /// Emits an event to the clients of several rooms. A client that is in more than one of them receives it once.
    @discardableResult
    public func emit(
        _ event: String, _ arguments: EventValue..., rooms: [String], namespace: String = "/", skipSIDs: [String] = [],
        keep: Keep? = nil, key: String? = nil
    ) async throws(EmitterError) -> Int {
        try await emit(
            event, arguments: arguments, rooms: rooms, namespace: namespace, skipSIDs: skipSIDs, keep: keep, key: key)
    }

    /// Emits an event with a list of arguments.
    ///
    /// - Parameter rooms: nil for everybody in the namespace. An empty list and an empty name are errors: for Flask-SocketIO they
    ///   mean everybody, which is seldom intended.
    @discardableResult
    public func emit(
        _ event: String, arguments: [EventValue], rooms: [String]?, namespace: String = "/", skipSIDs: [String] = [],
        keep: Keep? = nil, key: String? = nil
    ) async throws(EmitterError) -> Int {
        guard rooms?.isEmpty != true else {
            throw EmitterError(.invalidMessage, "the list of rooms is empty: nobody would get the event")
        }
        for room in rooms ?? [] { try Self.check(room, "room") }
        let keep = try keep.map { keep throws(EmitterError) in try keep.request(isForEverybody: rooms == nil) }
        if let key { try Self.check(key: key) }
        guard !arguments.contains(where: { $0.isNestedDeeper(than: Self.maximumDepth) }) else {
            throw EmitterError(
                .invalidMessage, "an argument is nested in more than \(Self.maximumDepth) arrays and objects")
        }
        let arguments = arguments == [.null] ? [] : arguments
        return try await publish(
            .emit(
                event: event, rooms: rooms ?? [], namespace: namespace, skipping: skipSIDs, keep: keep, key: key,
                hostID: hostID),
            arguments, namespace: namespace)
    }

    /// Receivers accept 1,000 levels for the message as a whole.
    static let maximumDepth = 512

    // MARK: Rooms and clients

    /// Removes all clients from a room.
    @discardableResult
    public func closeRoom(_ room: String, namespace: String = "/") async throws(EmitterError) -> Int {
        try Self.check(room, "room")
        return try await publish(.closeRoom(room, namespace: namespace, hostID: hostID), namespace: namespace)
    }

    /// Adds a client to a room. ws-emit and servers from python-socketio 5.10 on do it.
    @discardableResult
    public func enterRoom(_ room: String, sid: String, namespace: String = "/") async throws(EmitterError) -> Int {
        try await publishMembership(.enter, room, sid, namespace)
    }

    /// Removes a client from a room. ws-emit and servers from python-socketio 5.10 on do it.
    @discardableResult
    public func leaveRoom(_ room: String, sid: String, namespace: String = "/") async throws(EmitterError) -> Int {
        try await publishMembership(.leave, room, sid, namespace)
    }

    /// Disconnects a client from the namespace. ws-emit and servers from python-socketio 4.5 on do it.
    @discardableResult
    public func disconnect(sid: String, namespace: String = "/") async throws(EmitterError) -> Int {
        try Self.check(sid, "sid")
        return try await publish(.disconnect(sid, namespace: namespace, hostID: hostID), namespace: namespace)
    }

    private func publishMembership(
        _ change: OutgoingMessage.Membership, _ room: String, _ sid: String, _ namespace: String
    ) async throws(EmitterError) -> Int {
        try Self.check(room, "room")
        try Self.check(sid, "sid")
        return try await publish(
            .membership(change, sid: sid, room: room, namespace: namespace, hostID: hostID), namespace: namespace)
    }

    private static func check(_ name: String, _ what: String) throws(EmitterError) {
        guard !name.isEmpty else { throw EmitterError(.invalidMessage, "the \(what) is an empty text") }
    }

    // MARK: Publishing

    private func publish(
        _ message: OutgoingMessage, _ arguments: [EventValue] = [], namespace: String
    ) async throws(EmitterError) -> Int {
        guard namespace.hasPrefix("/") else {
            throw EmitterError(
                .invalidMessage, "the namespace \(namespace) does not begin with a slash: it has no clients")
        }
        let encoded =
            switch format {
            case .json: message.json(arguments)
            case .pickle(let version): message.pickle(arguments, version: version)
            }
        let payload = ByteBuffer(bytes: encoded)
        guard payload.readableBytes <= Self.maximumBytes else {
            throw EmitterError(
                .invalidMessage, "the message has \(payload.readableBytes) bytes, more than \(Self.maximumBytes)")
        }
        return try await withPublisher { $0.publish(payload) }
    }

    /// Calls `body` with the connection, which the first call opens.
    func withPublisher<Reply: Sendable>(
        _ body: @escaping @Sendable (ChannelPublisher) -> EventLoopFuture<Reply>
    ) async throws(EmitterError) -> Reply {
        do {
            return try await eventLoop.flatSubmit { [self] in
                switch publisher.value {
                case .open(let open)?: return body(open)
                case .closed?: return eventLoop.makeFailedFuture(EmitterError(.shutDown))
                case nil:
                    let open = ChannelPublisher(
                        url: url, redisChannel: channel, timeout: timeout, maximumPending: maximumPending,
                        eventLoop: eventLoop)
                    publisher.value = .open(open)
                    return body(open)
                }
            }.get()
        } catch let error as EmitterError {
            throw error
        } catch {
            throw EmitterError(.unanswered, "\(error); the message may or may not have been published")
        }
    }

    /// The largest message that ws-emit reads.
    private static let maximumBytes = 16 << 20
}
