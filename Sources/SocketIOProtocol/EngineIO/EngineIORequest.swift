import Bytes

/// The query of a request below the Engine.IO path, checked as python-engineio's `handle_request` does.
package struct EngineIORequest: Equatable, Sendable {
    package enum Transport: Sendable { case polling, websocket }
    package enum Method: Sendable { case get, post }

    package var transport: Transport
    /// The session the request belongs to; nil for a handshake.
    package var sid: ByteString?
    /// The callback index of a JSONP client.
    package var jsonpIndex: Int?
    /// The text by which the client distinguishes its requests.
    package var timestamp: ByteString?

    /// - Throws: the refusal to respond with, in the words of python-engineio 4.15.
    package init(
        method: Method, query: some Collection<UInt8>, isWebSocketUpgrade: Bool
    ) throws(EngineIORefusal) {
        var version: [UInt8]?
        var transportName: [UInt8]?
        var jsonp: [UInt8]?
        var sid: ByteString?
        var timestamp: ByteString?
        FormEncoding.forEachPair(in: query) { name, value in
            switch String(decoding: name, as: UTF8.self) {
            case "EIO": version = value
            case "transport": transportName = value
            case "sid": sid = ByteString(bytes: value)
            case "j": jsonp = value
            case "t": timestamp = ByteString(bytes: value)
            default: break
            }
        }
        self.sid = sid
        self.timestamp = timestamp
        if let transportName {
            switch String(decoding: transportName, as: UTF8.self) {
            case "polling": transport = .polling
            case "websocket": transport = .websocket
            default: throw .invalidTransport
            }
        } else {
            transport = .polling
        }
        // Only the handshake negotiates the version; python-engineio doesn't look at it afterwards.
        if sid == nil, version != [UInt8(ascii: "4")] { throw .unsupportedVersion }
        if let jsonp {
            guard let text = String(validating: jsonp, as: UTF8.self), let index = Int(text), index >= 0 else {
                throw .invalidJSONPIndex
            }
            jsonpIndex = index
        }
        switch method {
        case .get:
            if transport == .websocket, !isWebSocketUpgrade { throw .invalidWebSocketUpgrade }
        case .post:
            if sid == nil { throw .invalidSession(nil) }
        }
    }
}

/// The reason for a 400 response, sent as a JSON string with the texts of python-engineio's `server.py`.
package enum EngineIORefusal: Error, Equatable, CustomStringConvertible {
    case unsupportedVersion
    case invalidTransport
    case invalidWebSocketUpgrade
    case invalidJSONPIndex
    case invalidSession(ByteString?)
    /// A sid made by another process of a cluster.
    case foreignSession(ByteString)
    /// The session was closed because its client was too slow.
    case slowClient(EngineIOSession.SlowClient)
    case unexpectedRequest
    case originNotAccepted
    case overlappingPoll
    case invalidPayload

    /// The body, quotes included.
    package var body: [UInt8] {
        var writer = JSONWriter(capacity: 128)
        unsafe ByteString(description).withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        return writer.copyBytes()
    }

    package var description: String {
        switch self {
        case .unsupportedVersion:
            "The client is using an unsupported version of the Socket.IO or Engine.IO protocols"
        case .invalidTransport: "Invalid transport"
        case .invalidWebSocketUpgrade: "Invalid websocket upgrade"
        case .invalidJSONPIndex: "Invalid JSONP index number"
        case .invalidSession(let sid): "Invalid session \((sid ?? "None").text.prefix(64))"
        case .foreignSession(let sid):
            """
            Invalid session \(sid): another ws-emit opened it, or this one before a restart. Behind a load balancer, send \
            each client to one ws-emit by a cookie, or let pages use transports: ['websocket']
            """
        case .slowClient(let cause): cause.text
        case .unexpectedRequest: "Unexpected HTTP request"
        case .originNotAccepted: "Not an accepted origin."
        case .overlappingPoll: "Overlapping polls end the session"
        case .invalidPayload: "Invalid payload"
        }
    }
}
