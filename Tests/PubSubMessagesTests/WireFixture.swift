import Foundation
import Testing

/// The captured messages of `wire.jsonl`. The folder is the environment variable WS_EMIT_FIXTURES, or Tests/Fixtures.
struct WireFixture {
    let records: [WireRecord]

    /// True if these are the captures of this repository, whose counts are known.
    static let isOurs = (ProcessInfo.processInfo.environment["WS_EMIT_FIXTURES"] ?? "").isEmpty

    static func load() throws -> WireFixture {
        let path = isOurs ? nil : ProcessInfo.processInfo.environment["WS_EMIT_FIXTURES"]
        let folder =
            path.map { URL(filePath: $0) }
            ?? URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
                path: "Fixtures")
        let text = try Data(contentsOf: folder.appending(path: "wire.jsonl"))
        var objects: [[String: Any]] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            objects.append(try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]))
        }
        var byID: [String: [String: Any]] = [:]
        for object in objects { if let id = object["id"] as? String { byID[id] = object } }
        var setAside = 0
        let records = try objects.compactMap { object -> WireRecord? in
            // A record re-pickled at another protocol has the expectations of its original.
            var merged = object
            if let same = object["same_as"] as? String {
                guard let original = byID[same] else {
                    setAside += 1
                    return nil
                }
                for (key, value) in original where merged[key] == nil { merged[key] = value }
            }
            return try WireRecord(merged)
        }
        if setAside > 0 { print("wire.jsonl: \(setAside) records set aside, whose originals aren't there") }
        return WireFixture(records: records)
    }
}

/// One captured message and the results of real receivers.
struct WireRecord {
    enum Frame: Equatable, CustomStringConvertible {
        case text(String)
        case binary([UInt8])

        var description: String {
            switch self {
            case .text(let text): text.count > 300 ? "\(text.prefix(300))…" : text
            case .binary(let bytes): "<\(bytes.count) bytes \(bytes.prefix(16))>"
            }
        }
    }

    struct Receiver {
        let versions: [String]
        let packets: [Frame]
        let isDelivered: Bool
    }

    let id: String
    let kind: String
    let call: String
    let release: String?
    let isHandMade: Bool
    /// The captured bytes; nil if the emitter published nothing.
    let payload: [UInt8]?
    let decoded: Any?
    let isEngineIO3: Bool
    let packets: [Frame]
    /// True if the library client got an event.
    let isDelivered: Bool
    let problem: String?
    let receivers: [Receiver]
    let rawClient: [String: String]
    let libraryClient: [String: String]
    let effect: [String: Any]?
    let clientAck: String?

    init(_ object: [String: Any]) throws {
        func value(_ key: String) -> Any? { object[key].flatMap { $0 is NSNull ? nil : $0 } }
        id = try #require(value("id") as? String)
        kind = try #require(value("kind") as? String)
        call = value("emit_call") as? String ?? ""
        let producer = value("producer") as? [String: Any]
        release = producer?["python-socketio"] as? String
        isHandMade = producer == nil
        decoded = value("decoded")
        isEngineIO3 = value("eio") as? Int == 3
        if let text = value("payload_b64") as? String {
            payload = Array(try #require(Data(base64Encoded: text)))
        } else if let parts = value("payload_parts") as? [[String: Any]] {
            payload = try WireRecord.bytes(parts)
        } else {
            payload = nil
        }
        let isEngineIO3 = isEngineIO3
        packets = try WireRecord.frames(value("packets"), isEngineIO3: isEngineIO3)
        isDelivered = value("delivered") != nil
        problem = value("problem") as? String
        receivers = try (value("receivers") as? [[String: Any]] ?? []).map { receiver in
            Receiver(
                versions: receiver["versions"] as? [String] ?? [],
                // Receivers of Engine.IO 3 are noted in the v4 form, except for the byte before attachments.
                packets: try WireRecord.frames(receiver["packets"], isEngineIO3: false),
                isDelivered: receiver["delivered"].map { !($0 is NSNull) } ?? false)
        }
        let sids = value("sids") as? [String: [String: String]] ?? [:]
        rawClient = sids["raw_client"] ?? [:]
        libraryClient = sids["lib_client"] ?? [:]
        effect = value("effect") as? [String: Any]
        clientAck = value("client_ack") as? String
    }

    /// Frames in the form of Engine.IO 4: v3 puts 0x04 before an attachment and no comma after a bare namespace.
    private static func frames(_ value: Any?, isEngineIO3: Bool) throws -> [Frame] {
        guard let list = value as? [Any] else { return [] }
        // Engine.IO 3 sends a close packet, which Socket.IO doesn't have.
        return try list.filter { !isEngineIO3 || $0 as? String != "1" }.map { item in
            if let text = item as? String {
                return .text(isEngineIO3 && text.hasPrefix("41/") && !text.hasSuffix(",") ? text + "," : text)
            }
            let object = try #require(item as? [String: Any])
            if let parts = object["$parts"] as? [[String: Any]] {
                return .text(
                    parts.map { part in
                        if let text = part["s"] as? String { return text }
                        return String(repeating: part["rep"] as? String ?? "", count: part["n"] as? Int ?? 0)
                    }.joined())
            }
            var data: [UInt8]
            if let parts = object["$b64parts"] as? [[String: Any]] {
                data = try bytes(parts)
            } else {
                data = Array(try #require((object["$b64"] as? String).flatMap { Data(base64Encoded: $0) }))
            }
            if isEngineIO3, data.first == 4 { data.removeFirst() }
            return .binary(data)
        }
    }

    private static func bytes(_ parts: [[String: Any]]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            let text = try #require((part["b64"] ?? part["rep_b64"]) as? String)
            let piece = Array(try #require(Data(base64Encoded: text)))
            let count = part["b64"] == nil ? part["n"] as? Int ?? 0 : 1
            if piece.count == 1 {
                bytes += Array(repeating: piece[0], count: count)
            } else {
                for _ in 0..<count { bytes += piece }
            }
        }
        return bytes
    }
}
