import Bytes
import Foundation
import PickleCodec
import Testing

@testable import PubSubMessages

/// Compares one outcome with its capture. If the reference itself failed, asserts the sender's intention.
struct ReplayVerdict {
    let record: WireRecord
    let outcome: ReplayOutcome
    let reference: ReferenceIndex

    init(_ record: WireRecord, _ outcome: ReplayOutcome, _ reference: ReferenceIndex) {
        self.record = record
        self.outcome = outcome
        self.reference = reference
    }

    /// Checks the record and returns the kind of check; a mismatch is a test failure.
    func check() -> String {
        if let verdict = checkEffect() { return verdict }
        if outcome.packets == record.packets { return checkEquals() }
        if isSame(record.packets) { return "checked: NaN and infinities are null" }
        if let verdict = checkNewerReceiver() ?? checkRepaired() ?? checkAlone() { return verdict }
        Issue.record(
            """
            \(record.id) \(record.call)
              ours \(outcome.packets) \(outcome.error.map { "\($0)" } ?? "") \(outcome.ignored.map { "\($0)" } ?? "")
              real \(record.packets) \(record.problem ?? "")
            """)
        return "FAILED"
    }

    private func checkEquals() -> String {
        if !record.packets.isEmpty { return "checked: the same packets" }
        if record.isDelivered {
            #expect(outcome.reachesLibraryClient, "\(record.id) \(record.call) \(outcome.error.map { "\($0)" } ?? "")")
            return "checked: only the other client gets it"
        }
        if outcome.error != nil {
            return record.problem == nil
                ? "checked: refused with a reason, silently dropped by the reference"
                : "checked: refused with a reason, an exception in the reference"
        }
        return outcome.ignored == nil ? "checked: routed, nobody here gets it" : "checked: ignored, as by the reference"
    }

    /// Checks the members of the room after enter_room, leave_room or close_room.
    private func checkEffect() -> String? {
        guard let effect = record.effect, let room = (effect["room"] as? String).map({ ByteString($0) }),
            let name = (effect["namespace"] as? String).map({ ByteString($0) })
        else { return nil }
        let isRawIn = outcome.model.raw.rooms[name]?.contains(room) ?? false
        let isLibraryIn = outcome.model.library.rooms[name]?.contains(room) ?? false
        #expect(isRawIn == effect["raw_client_in_room_after"] as? Bool, "\(record.id)")
        #expect(isLibraryIn == effect["lib_client_in_room_after"] as? Bool, "\(record.id)")
        #expect(outcome.packets == record.packets, "\(record.id)")
        return "checked: the same clients are in the room afterwards"
    }

    /// The effect of the same call, or the same payload, at another release.
    private func checkNewerReceiver() -> String? {
        let isText = record.payload?.first == UInt8(ascii: "{")
        if isText, outcome.emit?.dialect == .json5_14_0,
            record.receivers.contains(where: { $0.versions.contains("5.14.0") && isSame($0.packets) })
        {
            return "checked: JSON without binary, read as its own releases do"
        }
        if record.receivers.contains(where: { !$0.packets.isEmpty && isSame($0.packets) }) {
            return "checked: the packets of another receiver release"
        }
        if reference.records(like: record).contains(where: { !$0.packets.isEmpty && isSame($0.packets) }) {
            return "checked: the packets of the same call at another release"
        }
        return nil
    }

    /// A part of a corpus may lack the releases that deliver a message.
    private func checkAlone() -> String? {
        guard !WireFixture.isOurs, record.packets.isEmpty,
            reference.records(like: record).allSatisfy(\.packets.isEmpty)
        else { return nil }
        return "set aside: no release of this corpus delivered it"
    }

    /// A message that no release delivers, although its meaning is clear.
    private func checkRepaired() -> String? {
        let problem = record.problem ?? ""
        if let verdict = checkMistakes() { return verdict }
        if record.packets.isEmpty, problem.contains("bytes is not JSON") || problem.contains("bytearray is not JSON") {
            #expect(!outcome.packets.dropFirst().isEmpty, "\(record.id)")
            return "checked: bytes that the reference can't encode are attachments"
        }
        if let undecodable = (record.decoded as? [String: Any])?["$undecodable"] as? String,
            undecodable.contains("UnicodeDecodeError: 'ascii'"), !outcome.packets.isEmpty
        {
            return "checked: Python 2 text in UTF-8, undecodable for the reference"
        }
        // Hand-made calls of a class or function in place of data: their result is unknown without the call.
        if record.kind == "raw.pickle_hostile" || record.kind == "raw.pickle_opcode",
            case .unserializable(let error) = outcome.error?.cause, !error.typeName.isEmpty
        {
            return "checked: refused, since only a call would give the value"
        }
        if record.call.contains("skip_sid=("), outcome.packets.isEmpty, outcome.emit?.skip.isEmpty == false {
            return "checked: a tuple skip_sid skips, as it does through JSON"
        }
        return nil
    }

    /// A message with a known mistake, which no receiver delivers: it is delivered as intended, and its mistake is noted.
    private func checkMistakes() -> String? {
        guard record.packets.isEmpty, !outcome.mistakes.isEmpty, let emit = outcome.emit,
            outcome.error == nil
        else { return nil }
        #expect(outcome.packets.isEmpty == !outcome.model.raw.gets(emit), "\(record.id)")
        let mistakes = outcome.mistakes.all.map { "\($0)" }.joined(separator: ", ")
        return "checked: delivered, with a mistake noted: \(mistakes)"
    }

    /// True if real packets equal ours, which have null for NaN and infinities.
    private func isSame(_ packets: [WireRecord.Frame]) -> Bool {
        outcome.packets == packets || outcome.packets == packets.map(Self.withoutNonFinite)
    }

    /// The text with null for NaN and infinities outside of strings.
    private static func withoutNonFinite(_ frame: WireRecord.Frame) -> WireRecord.Frame {
        guard case .text(let text) = frame, text.contains("NaN") || text.contains("Infinity") else { return frame }
        return .text(
            text.replacing(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/) { $0.output.first == "\"" ? String($0.output) : "null" })
    }
}
