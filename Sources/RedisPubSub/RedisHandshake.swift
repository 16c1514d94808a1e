import NIOCore

/// The commands that open a connection, and what their replies mean.
///
///     both:          AUTH, CLIENT SETNAME and ROLE, each if needed
///     subscription:  CLIENT ID, SUBSCRIBE, PSUBSCRIBE; ready when each channel and pattern is confirmed
///     commands:      SELECT, or PING for database 0; ready when the server replies
struct RedisHandshake {
    enum Action: Equatable {
        /// More replies are to come.
        case wait
        case ready
        case close(RedisError)
    }

    /// A command that has one reply.
    private enum Command { case auth, setName, role, clientID, select, ping }

    private let url: RedisURL
    private let channels: [String]
    private let patterns: [String]
    private let rights: RedisRights
    /// The commands that have no reply yet, oldest first.
    private var unanswered: [Command] = []
    private var unconfirmedCount: Int
    /// The server's number for this connection; nil on a connection for commands, and where an ACL forbids CLIENT ID.
    private(set) var clientID: Int64?

    /// - Parameters:
    ///   - channels: empty, as `patterns`, for a connection for commands.
    ///   - wantsMaster: true to leave a server at once if its reply to ROLE is not `master`.
    init(url: RedisURL, channels: [String], patterns: [String], wantsMaster: Bool, rights: RedisRights) {
        self.url = url
        self.channels = channels
        self.patterns = patterns
        self.rights = rights
        unconfirmedCount = channels.count + patterns.count
        if url.user != nil || url.password != nil { unanswered.append(.auth) }
        if url.options.clientName != nil { unanswered.append(.setName) }
        if wantsMaster { unanswered.append(.role) }
        if unconfirmedCount > 0 {
            unanswered.append(.clientID)
        } else {
            // Connections start in database 0, so a user without the right to SELECT can use it. PING takes the place of
            // SELECT there: one reply must prove that the server is a Redis and accepts the login.
            unanswered.append(url.database == 0 ? .ping : .select)
        }
    }

    /// True if a command other than SUBSCRIBE and PSUBSCRIBE has no reply yet.
    var expectsReply: Bool { !unanswered.isEmpty }

    /// All commands, to be sent in one write.
    var commands: ByteBuffer {
        var buffer = ByteBuffer()
        for command in unanswered {
            switch command {
            // Redis knows users since release 6; every release accepts the password alone.
            case .auth: buffer.writeCommand([Array("AUTH".utf8)] + (url.user.map { [$0] } ?? []) + [url.password ?? []])
            case .setName: buffer.writeCommand(["CLIENT", "SETNAME", url.options.clientName ?? ""].map(\.utf8))
            case .role: buffer.writeCommand(["ROLE".utf8])
            case .clientID: buffer.writeCommand(["CLIENT".utf8, "ID".utf8])
            case .select: buffer.writeCommand(["SELECT".utf8, String(url.database).utf8])
            case .ping: buffer.writeCommand(["PING".utf8])
            }
        }
        if !channels.isEmpty { buffer.writeCommand((["SUBSCRIBE"] + channels).map(\.utf8)) }
        if !patterns.isEmpty { buffer.writeCommand((["PSUBSCRIBE"] + patterns).map(\.utf8)) }
        return buffer
    }

    /// Takes the next reply.
    ///
    /// - Parameter endpoint: the server, named in errors.
    mutating func received(_ reply: RedisReply, from endpoint: RedisURL.Endpoint?) -> Action {
        guard let command = unanswered.first else { return receivedConfirmation(reply) }
        unanswered.removeFirst()
        switch (command, reply) {
        case (.auth, .status), (.setName, .status): return .wait
        case (.select, .status), (.ping, .status), (.ping, .bulk), (.ping, .texts): return .ready
        case (.ping, .error(let message)) where RedisLiveness.provesLife(error: message): return .ready
        case (.auth, .error(let message)): return .close(rights.refusal(of: .auth, message))
        case (.select, .error(let message)): return .close(rights.refusal(of: .select, message))
        case (.ping, .error(let message)): return .close(rights.refusal(of: .ping, message))
        case (.setName, .error(let message)), (.clientID, .error(let message)), (.role, .error(let message)):
            // An ACL or a proxy may not allow these commands. Without ROLE the sentinels' reply is trusted.
            return message.contains("max number of clients") ? .close(.broken(reason: message)) : .wait
        case (.clientID, .integer(let id)):
            clientID = id
            return .wait
        case (.role, .texts(let words)):
            if words.first == ByteBuffer(string: "master") { return .wait }
            return .close(.notMaster(endpoint: endpoint?.description ?? ""))
        default: return .close(.mismatchedReply)
        }
    }

    private mutating func receivedConfirmation(_ reply: RedisReply) -> Action {
        switch reply {
        case .subscribed:
            unconfirmedCount -= 1
            return unconfirmedCount == 0 ? .ready : .wait
        case .message, .pong: return .wait
        case .error(let message): return .close(rights.refusal(of: .subscribe, message))
        case .status, .integer, .bulk, .null, .texts, .array: return .close(.unexpectedReply)
        }
    }
}
