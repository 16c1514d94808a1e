import Foundation

/// One line of a fixture file, as JSON.
struct FixtureRecord: @unchecked Sendable {
    // Written once by JSONSerialization and only read afterwards: value types of Foundation, safe to share.
    let fields: [String: Any]

    var id: String { fields["id"] as? String ?? "?" }
    var category: String { fields["category"] as? String ?? "?" }
    func string(_ key: String) -> String? { fields[key] as? String }
    func int(_ key: String) -> Int? { fields[key] as? Int }

    /// The bytes of `pickle_b64` or of the repeated `pickle_parts`.
    var pickle: [UInt8] {
        if let text = fields["pickle_b64"] as? String { return Self.bytes(text) }
        var bytes: [UInt8] = []
        for part in fields["pickle_parts"] as? [[Any]] ?? [] {
            guard let text = part.first as? String, let count = part.last as? Int else { continue }
            let piece = Self.bytes(text)
            for _ in 0..<count { bytes += piece }
        }
        return bytes
    }

    /// Out-of-band buffers.
    var buffers: [[UInt8]] { (fields["buffers"] as? [String] ?? []).map(Self.bytes) }

    /// The extension registry as code, module and name.
    var extensions: [(code: Int32, module: String, name: String)] {
        (fields["extensions"] as? [[Any]] ?? []).compactMap { entry in
            guard let code = entry.first as? Int, let names = entry.last as? [String], names.count == 2 else {
                return nil
            }
            return (Int32(code), names[0], names[1])
        }
    }

    static func bytes(_ base64: String) -> [UInt8] { Array(Data(base64Encoded: base64) ?? Data()) }
}

enum Fixtures {
    /// True if these are the fixtures of this repository, whose counts are known.
    static let isOurs = (ProcessInfo.processInfo.environment["WS_EMIT_FIXTURES"] ?? "").isEmpty

    /// The folder of `WS_EMIT_FIXTURES`, else Tests/Fixtures beside this target.
    static var folder: URL {
        if let path = ProcessInfo.processInfo.environment["WS_EMIT_FIXTURES"], !path.isEmpty {
            return URL(fileURLWithPath: path, isDirectory: true)
        }
        return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures", isDirectory: true)
    }

    /// The records of one fixture file.
    static func records(_ name: String) throws -> [FixtureRecord] {
        let text = try Data(contentsOf: folder.appendingPathComponent(name))
        return try text.split(separator: 0x0a).map { line in
            FixtureRecord(fields: try JSONSerialization.jsonObject(with: line) as? [String: Any] ?? [:])
        }
    }
}
