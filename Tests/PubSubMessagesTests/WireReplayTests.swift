import Bytes
import Foundation
import Testing

@testable import PubSubMessages

/// The result of our decoder and a small packet writer for one payload.
struct ReplayOutcome {
    var packets: [WireRecord.Frame] = []
    var reachesLibraryClient = false
    var error: PubSubMessageError?
    var ignored: PubSubMessage.IgnoreReason?
    var emit: PubSubMessage.Emit?
    var mistakes = SenderMistakes()
    var model: RoomModel

    init(_ payload: [UInt8], record: WireRecord, decoder: PubSubMessageDecoder) {
        model = RoomModel(record)
        payload.withUnsafeBytes { bytes in
            do {
                let message = try decoder.decode(bytes)
                mistakes = decoder.mistakes
                switch message {
                case .emit(let emit):
                    self.emit = emit
                    reachesLibraryClient = model.library.gets(emit)
                    let reachesRawClient = model.raw.gets(emit)
                    guard reachesRawClient || reachesLibraryClient else { return }
                    let body = try decoder.encodeEvent()
                    if reachesRawClient { packets = Self.packets(body, emit: emit, record: record) }
                case .ignored(let reason): ignored = reason
                default: packets = model.apply(message)
                }
            } catch let error as PubSubMessageError {
                self.error = error
                reachesLibraryClient = false
            } catch {
                Issue.record(error)
            }
        }
    }

    /// The header and frames. The ack id is from the capture, since each receiver counts its own.
    private static func packets(
        _ body: EventBody, emit: PubSubMessage.Emit, record: WireRecord
    ) -> [WireRecord.Frame] {
        var text = body.attachments.isEmpty ? "42" : "45\(body.attachments.count)-"
        if emit.namespace != "/" { text += "\(emit.namespace)," }
        if emit.callback != nil { text += capturedAckID(record) ?? "?" }
        text += String(decoding: body.json, as: UTF8.self)
        return [.text(text)] + body.attachments.map { .binary($0) }
    }

    private static func capturedAckID(_ record: WireRecord) -> String? {
        guard case .text(let text) = record.packets.first else { return nil }
        var head = text.prefix { $0 != "[" }.dropFirst(2)
        if let dash = head.firstIndex(of: "-") { head = head[head.index(after: dash)...] }
        if let comma = head.firstIndex(of: ",") { head = head[head.index(after: comma)...] }
        return head.isEmpty ? nil : String(head)
    }
}

/// Replays captured messages of real emitters and compares packet by packet with what real receivers sent.
@Suite("PubSubMessagesTests", .bothWays) struct WireReplayTests {
    /// The receiver's host id in the captures of own messages.
    static let hostID: ByteString = "0123456789abcdef0123456789abcdef"

    /// One line per record, with WS_EMIT_VERBOSE set.
    static let isVerbose = ProcessInfo.processInfo.environment["WS_EMIT_VERBOSE"] != nil

    @Test func `captured messages give the packets that real receivers sent`() throws {
        let records = try WireFixture.load().records
        let reference = ReferenceIndex(records)
        var tally: [String: Int] = [:]
        let learned = makeDecoder(hostID: Self.hostID)
        for record in records where !record.isHandMade {
            record.payload?.withUnsafeBytes { _ = try? learned.decode($0) }
        }
        for record in records {
            guard let payload = record.payload else {
                tally["set aside: the emitter published nothing", default: 0] += 1
                continue
            }
            // Hand-made messages share one host id but not one dialect.
            let decoder = record.isHandMade ? makeDecoder(hostID: Self.hostID) : learned
            let outcome = ReplayOutcome(payload, record: record, decoder: decoder)
            let verdict = ReplayVerdict(record, outcome, reference).check()
            tally[verdict, default: 0] += 1
            if Self.isVerbose, BothWays.usesFastLane { print("  \(record.id): \(verdict)") }
        }
        guard BothWays.usesFastLane else { return }
        print("wire.jsonl: \(records.count) records")
        for (verdict, count) in tally.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            print("  \(count) \(verdict)")
        }
    }
}

/// Packets of the same call at other releases, for records where the release itself failed.
struct ReferenceIndex {
    private var byCall: [String: [WireRecord]] = [:]

    init(_ records: [WireRecord]) {
        for record in records where record.payload != nil && record.problem == nil {
            byCall[record.kind + record.call, default: []].append(record)
        }
    }

    func records(like record: WireRecord) -> [WireRecord] { byCall[record.kind + record.call] ?? [] }
}
