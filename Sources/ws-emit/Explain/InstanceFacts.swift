import JSONCodec

/// The response of a running ws-emit to `/explain`.
struct InstanceFacts {
    struct Refusal {
        /// The label `cause` of the metrics.
        var cause = ""
        var count = 0
        /// In milliseconds since 1970, by the instance's clock.
        var lastAt: Int64 = 0
        /// The event and the fix, as clauses.
        var text = ""
        var advice = ""
        var detail = ""
        var namespace: String?
        var room: String?
    }

    /// A time in which messages may be missing, in milliseconds since 1970.
    struct Gap {
        var from: Int64 = 0
        /// Nil while it lasts.
        var to: Int64?
        var detail = ""
    }

    struct Sender {
        var hostID: String?
        var refusals = 0
        var lastRefusal: String?
        var lastRefusedAt: Int64 = 0
        var corrected = 0
        /// Advice for the sender's author.
        var mistakes: [String] = []
    }

    var version = ""
    var hostID = ""
    var redis = ""
    var channels: [String] = []
    var origins: [String] = []
    var allowedNamespaces: [String]?
    var isReady = false
    /// Code and sentence.
    var reasons: [(code: String, text: String)] = []
    var canaryID: Int64?
    /// The instance's clock, in milliseconds since 1970.
    var now: Int64 = 0
    var gaps: [Gap] = []
    var sessions = 0
    /// Sockets in the namespace.
    var sockets = 0
    var members = 0
    var similar: [String] = []
    var elsewhere: [String] = []
    var namespaces: [String] = []
    var roomSpace: String?
    /// Nil if unknown.
    var hasSecret: Bool?
    /// Problems with the keys of the secret.
    var secretProblems: [(code: String, text: String)] = []
    var refusals: [Refusal] = []
    var senders: [Sender] = []

    /// Nil if it isn't such a response.
    init?(_ json: [UInt8]) {
        var document = JSONDocument()
        let isParsed = json.withUnsafeBytes { bytes in
            guard (try? document.parse(bytes)) != nil, document.kind(of: document.root) == .object else { return false }
            read(document)
            return true
        }
        guard isParsed, !hostID.isEmpty else { return nil }
    }

    private mutating func read(_ document: borrowing JSONDocument) {
        let root = document.root
        version = Self.text("version", root, document) ?? ""
        hostID = Self.text("host_id", root, document) ?? ""
        redis = Self.text("redis", root, document) ?? ""
        channels = Self.texts("channels", root, document) ?? []
        origins = Self.texts("origins", root, document) ?? []
        allowedNamespaces = Self.texts("allowed_namespaces", root, document)
        isReady = document.value(forKey: "ready", in: root).flatMap { document.bool($0) } ?? false
        for reason in Self.list("reasons", root, document) {
            reasons.append((Self.text("code", reason, document) ?? "", Self.text("text", reason, document) ?? ""))
        }
        canaryID = document.value(forKey: "canary_id", in: root).flatMap { document.int64($0) }
        now = Self.number("now", root, document) ?? 0
        for gap in Self.list("gaps", root, document) {
            gaps.append(
                Gap(
                    from: Self.number("from", gap, document) ?? 0, to: Self.number("to", gap, document),
                    detail: Self.text("detail", gap, document) ?? ""))
        }
        sessions = Self.count("sessions", root, document)
        sockets = Self.count("sockets", root, document)
        members = Self.count("members", root, document)
        similar = Self.texts("similar", root, document) ?? []
        elsewhere = Self.texts("elsewhere", root, document) ?? []
        namespaces = Self.texts("namespaces", root, document) ?? []
        if let space = document.value(forKey: "room_space", in: root), document.kind(of: space) == .object {
            roomSpace = Self.text("name", space, document)
            hasSecret = document.value(forKey: "has_secret", in: space).flatMap { document.bool($0) }
            secretProblems = Self.list("problems", space, document).map {
                (Self.text("code", $0, document) ?? "", Self.text("text", $0, document) ?? "")
            }
        }
        refusals = Self.list("refusals", root, document).map { node in
            Refusal(
                cause: Self.text("cause", node, document) ?? "", count: Self.count("count", node, document),
                lastAt: Self.number("last", node, document) ?? 0, text: Self.text("text", node, document) ?? "",
                advice: Self.text("advice", node, document) ?? "", detail: Self.text("detail", node, document) ?? "",
                namespace: Self.text("namespace", node, document), room: Self.text("room", node, document))
        }
        senders = Self.list("senders", root, document).map { node in
            Sender(
                hostID: Self.text("host_id", node, document), refusals: Self.count("refusals", node, document),
                lastRefusal: Self.text("last_refusal", node, document),
                lastRefusedAt: Self.number("last_refused", node, document) ?? 0,
                corrected: Self.count("corrected", node, document),
                mistakes: Self.texts("mistakes", node, document) ?? [])
        }
    }

    private typealias Node = JSONDocument.Node

    private static func text(_ key: StaticString, _ node: Node, _ document: borrowing JSONDocument) -> String? {
        document.value(forKey: key, in: node).flatMap { document.byteString($0) }?.text
    }

    private static func count(_ key: StaticString, _ node: Node, _ document: borrowing JSONDocument) -> Int {
        Int(number(key, node, document) ?? 0)
    }

    private static func number(_ key: StaticString, _ node: Node, _ document: borrowing JSONDocument) -> Int64? {
        document.value(forKey: key, in: node).flatMap { document.int64($0) }
    }

    private static func list(_ key: StaticString, _ node: Node, _ document: borrowing JSONDocument) -> [Node] {
        guard let list = document.value(forKey: key, in: node), document.kind(of: list) == .array else { return [] }
        return Array(document.elements(of: list))
    }

    private static func texts(_ key: StaticString, _ node: Node, _ document: borrowing JSONDocument) -> [String]? {
        guard let list = document.value(forKey: key, in: node), document.kind(of: list) == .array else { return nil }
        var texts: [String] = []
        for element in document.elements(of: list) {
            if let text = document.byteString(element) { texts.append(text.text) }
        }
        return texts
    }
}
