import Bridge
import JSONCodec

/// The response of a running ws-emit to `/explain`. Times are in milliseconds since 1970, by the instance's clock.
struct InstanceFacts {
    private let json: JSONValue

    /// Nil if it isn't such a response.
    init?(_ bytes: [UInt8]) {
        var document = JSONDocument()
        let json = unsafe bytes.withUnsafeBytes { bytes -> JSONValue in
            guard unsafe (try? document.parse(bytes)) != nil else { return .null }
            return JSONValue(document.root, of: document)
        }
        guard json["host_id"].text?.isEmpty == false else { return nil }
        self.json = json
    }

    var version: String { json["version"].text ?? "" }
    var hostID: String { json["host_id"].text ?? "" }
    var redis: String { json["redis"].text ?? "" }
    var channels: [String] { json["channels"].texts ?? [] }
    var origins: [String] { json["origins"].texts ?? [] }
    var allowedNamespaces: [String]? { json["allowed_namespaces"].texts }
    /// Why it isn't ready.
    var reasons: [Problem] { json["reasons"].list.map(Problem.init) }
    var canaryID: Int? { json["canary_id"].integer }
    var now: Int { json["now"].integer ?? 0 }
    var gaps: [Gap] { json["gaps"].list.map(Gap.init) }
    var sessions: Int { json["sessions"].integer ?? 0 }
    /// Sockets in the namespace.
    var sockets: Int { json["sockets"].integer ?? 0 }
    var members: Int { json["members"].integer ?? 0 }
    var similar: [String] { json["similar"].texts ?? [] }
    var elsewhere: [String] { json["elsewhere"].texts ?? [] }
    var namespaces: [String] { json["namespaces"].texts ?? [] }
    var roomSpace: String? { json["room_space"]["name"].text }
    /// Nil if unknown.
    var hasSecret: Bool? { json["room_space"]["has_secret"].bool }
    /// Problems with the keys of the secret.
    var secretProblems: [Problem] { json["room_space"]["problems"].list.map(Problem.init) }
    /// Messages that the room keeps for clients that join, and the time of the oldest.
    var keptValues: Int { json["kept"]["values"].integer ?? 0 }
    var oldestKept: Int { json["kept"]["oldest"].integer ?? 0 }
    var refusals: [Refusal] { json["refusals"].list.map(Refusal.init) }
    var senders: [Sender] { json["senders"].list.map(Sender.init) }

    struct Problem {
        fileprivate let json: JSONValue
        var code: String { json["code"].text ?? "" }
        var text: String { json["text"].text ?? "" }
    }

    struct Refusal {
        fileprivate let json: JSONValue
        /// The label `cause` of the metrics.
        var cause: String { json["cause"].text ?? "" }
        var count: Int { json["count"].integer ?? 0 }
        var lastAt: Int { json["last"].integer ?? 0 }
        /// The event and the fix, as clauses.
        var text: String { json["text"].text ?? "" }
        var advice: String { json["advice"].text ?? "" }
        var detail: String { json["detail"].text ?? "" }
        var namespace: String? { json["namespace"].text }
        var room: String? { json["room"].text }
    }

    /// A time in which messages may be missing.
    struct Gap {
        fileprivate let json: JSONValue
        var from: Int { json["from"].integer ?? 0 }
        /// Nil while it lasts.
        var to: Int? { json["to"].integer }
        var detail: String { json["detail"].text ?? "" }
    }

    struct Sender {
        fileprivate let json: JSONValue
        var hostID: String? { json["host_id"].text }
        var refusals: Int { json["refusals"].integer ?? 0 }
        var lastRefusal: String { json["last_refusal"].text ?? "" }
        var lastRefusedAt: Int { json["last_refused"].integer ?? 0 }
        var corrected: Int { json["corrected"].integer ?? 0 }
        /// Advice for the sender's author.
        var mistakes: [String] { json["mistakes"].texts ?? [] }
    }
}

extension JSONValue {
    fileprivate init(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        switch document.kind(of: node) {
        case .null: self = .null
        case .bool: self = document.bool(node).map { .bool($0) } ?? .null
        case .integer: self = document.int64(node).map { .integer(Int($0)) } ?? .null
        case .float: self = document.double(node).map { .number($0) } ?? .null
        case .string: self = document.byteString(node).map { .name($0) } ?? .null
        case .array:
            var values: [JSONValue] = []
            for element in document.elements(of: node) { values.append(JSONValue(element, of: document)) }
            self = .list(values)
        case .object:
            var members: [(String, JSONValue)] = []
            for (key, value) in document.members(of: node) {
                members.append((document.byteString(key)?.text ?? "", JSONValue(value, of: document)))
            }
            self = .object(members)
        }
    }

    /// The value of a key; null if there is none.
    fileprivate subscript(key: String) -> JSONValue {
        guard case .object(let members) = self else { return .null }
        return members.first { $0.0 == key }?.1 ?? .null
    }

    fileprivate var text: String? { if case .text(let text) = self { text } else { nil } }
    fileprivate var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    fileprivate var integer: Int? { if case .integer(let integer) = self { integer } else { nil } }
    fileprivate var list: [JSONValue] { if case .list(let list) = self { list } else { [] } }
    fileprivate var texts: [String]? { if case .list(let list) = self { list.compactMap(\.text) } else { nil } }
}
