import Bytes
import PickleCodec
import PubSubMessages

/// Prints the differences of two recordings.
final class DifferenceReport {
    private typealias Found = (index: Int, entry: RecordingReader.Entry)

    private let difference: RecordingDifference
    private let limit: Int
    private let digester: MessageDigester
    private let output = LineOutput()
    private var renderer = MessageRenderer(MessageReader())

    init(_ difference: RecordingDifference, limit: Int, digester: MessageDigester) {
        self.difference = difference
        self.limit = limit
        self.digester = digester
    }

    func print(_ a: String, _ b: String) throws(RecordingReader.Failure) {
        let missing = try digester.entries(at: difference.missing.prefix(limit), of: a)
        let added = try digester.entries(at: difference.added.prefix(limit), of: b)
        let partners = pairs(missing, added)
        var paired = Set<Int>()
        for (old, partner) in zip(missing, partners) {
            guard let partner else {
                printLine("- \(old.index + 1) ", old.entry)
                continue
            }
            paired.insert(partner)
            let new = added[partner]
            output.append("~ \(old.index + 1) \(new.index + 1) \(changedKeys(old.entry, new.entry))")
            output.endLine()
            printLine("  - ", old.entry)
            printLine("  + ", new.entry)
        }
        for (number, new) in added.enumerated() where !paired.contains(number) {
            printLine("+ \(new.index + 1) ", new.entry)
        }
        printSummary(changed: paired.count)
        output.flush()
    }

    private func printSummary(changed: Int) {
        let (missing, added) = (difference.missing.count, difference.added.count)
        if missing == 0, added == 0, difference.movedCount == 0 {
            output.append("the same \(Quantity.messages(difference.commonCount))")
        } else {
            output.append("\(Quantity.messages(difference.commonCount)) the same, \(missing - changed) missing, ")
            output.append("\(added - changed) added, \(changed) changed")
            if difference.movedCount > 0 { output.append(", \(difference.movedCount) in another order") }
        }
        output.endLine()
        let hidden = max(missing - limit, 0) + max(added - limit, 0)
        guard hidden > 0 else { return }
        output.append("\(hidden) of the missing and added are not shown: --limit shows more")
        output.endLine()
    }

    private func printLine(_ start: String, _ entry: RecordingReader.Entry) {
        output.append(start)
        output.append(entry.redisChannel, entry.payload, &renderer)
    }

    // MARK: Changed messages

    /// Two messages with the same subject are versions of one.
    private struct Subject: Hashable {
        let redisChannel: ByteString
        let method, event, namespace, sid: ByteString?
        let rooms: [ByteString]
    }

    /// For each missing message the added one that it became, in order.
    private func pairs(_ missing: [Found], _ added: [Found]) -> [Int?] {
        var indices: [Subject: [Int]] = [:]
        for (number, found) in added.enumerated().reversed() {
            if let subject = subject(of: found.entry) { indices[subject, default: []].append(number) }
        }
        return missing.map { found in subject(of: found.entry).flatMap { indices[$0]?.popLast() } }
    }

    /// nil for a payload without a method.
    private func subject(of entry: RecordingReader.Entry) -> Subject? {
        let summary = unsafe entry.payload.withUnsafeBytes { unsafe renderer.reader.inspect($0).summary }
        guard summary.method != nil else { return nil }
        return Subject(
            redisChannel: entry.redisChannel, method: summary.method, event: summary.event,
            namespace: summary.namespace, sid: summary.sid, rooms: summary.rooms)
    }

    private func changedKeys(_ old: RecordingReader.Entry, _ new: RecordingReader.Entry) -> String {
        var paths: [String] = []
        if let old = digester.value(of: old.payload), let new = digester.value(of: new.payload) {
            note(old, new, at: "", &paths)
        }
        let shown = paths.prefix(Limits.namedKeys).joined(separator: ", ")
        return paths.count > Limits.namedKeys ? "\(shown) and \(paths.count - Limits.namedKeys) more" : shown
    }

    /// Notes the paths of values that differ: `data.time`, `data[0]`.
    private func note(_ old: PickleValue?, _ new: PickleValue?, at path: String, _ paths: inout [String]) {
        guard old != new else { return }
        switch (old, new) {
        // Wider dicts would take too long and print too much.
        case (.dict(let old)?, .dict(let new)?) where max(old.count, new.count) <= Limits.comparedKeys:
            let keys = old.pairs.map(\.key) + new.pairs.map(\.key).filter { old[$0] == nil }
            for key in keys {
                let name = key.string ?? key.description(maximumBytes: 40)
                note(old[key], new[key], at: path.isEmpty ? name : "\(path).\(name)", &paths)
            }
        case (.list(let old)?, .list(let new)?) where old.count == new.count,
            (.tuple(let old)?, .tuple(let new)?) where old.count == new.count:
            for (number, pair) in zip(old, new).enumerated() { note(pair.0, pair.1, at: "\(path)[\(number)]", &paths) }
        default: paths.append(path)
        }
    }
}
