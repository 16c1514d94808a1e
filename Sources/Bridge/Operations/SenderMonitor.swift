import Bytes
import Logging
import NIOCore
import PubSubMessages

/// Accounts for each message by its sender, and logs what operators should know about senders.
final class SenderMonitor {
    // Exclusivity is unchecked as in `PubSubMessageDecoder`.
    @exclusivity(unchecked) private var table: SenderTable
    private var refusals: MessageRefusalLog
    private let logger: Logger
    private let maxMessageBytes: Int
    /// A message beyond this size draws a warning.
    private let largeBytes: Int

    init(configuration: BridgeConfiguration, logger: Logger, now: NIODeadline) {
        unsafe table = SenderTable(capacity: configuration.maxSenders, now: now)
        refusals = MessageRefusalLog(logger: logger)
        self.logger = logger
        maxMessageBytes = configuration.maxMessageBytes
        largeBytes = min(configuration.maxMessageBytes, BridgeLimits.redisOutputBytes) / 4
    }

    var entries: [SenderTable.Entry] { unsafe table.entries }
    var forgotten: Int { unsafe table.forgotten }
    var refusalsForgotten: Int { refusals.forgotten }
    var areAllBefore5_15_1: Bool { unsafe table.areAllBefore5_15_1 }

    func tick(at now: NIODeadline) { unsafe table.tick(at: now) }

    /// Accounts for a message that was decoded.
    func note(
        _ message: PubSubMessage, _ byteCount: Int, decodedBy decoder: PubSubMessageDecoder,
        _ redisChannel: Span<UInt8>, counters: inout RouterCounters
    ) {
        var (hostID, dialect) = (ByteString?.none, Dialect?.none)
        switch message {
        case .canary, .keptRequest, .keptStored, .ignored(.ownMessage), .ignored(.canaryOfAnotherHost): return
        case .emit(let emit): (hostID, dialect) = (emit.hostID, emit.dialect)
        case .emitForNobody(let read): (hostID, dialect) = (decoder.senderHostID, read)
        default: hostID = decoder.senderHostID
        }
        if let dialect { counters.emits[dialect] += 1 }
        if let change = unsafe table.note(hostID, dialect: dialect, byteCount: byteCount) {
            log(change, dialect, of: hostID, redisChannel)
        }
        guard byteCount > largeBytes else { return }
        counters.messagesLarge += 1
        refusals.logLarge(byteCount, limit: maxMessageBytes, of: hostID)
    }

    /// Accounts for a sender's mistakes in a message that was delivered all the same.
    func noteMistakes(
        of decoder: PubSubMessageDecoder, _ redisChannel: Span<UInt8>, counters: inout RouterCounters
    ) {
        let mistakes = decoder.mistakes
        counters.messagesCorrected += 1
        if mistakes.contains(.manyAttachments) { counters.messagesManyAttachments += 1 }
        unsafe table.noteMistakes(decoder.senderHostID, mistakes)
        refusals.log(
            mistakes, of: decoder.senderHostID, redisChannel: redisChannel, attachmentCount: decoder.attachmentCount)
    }

    /// Accounts for an unusable message.
    ///
    /// - Parameter isNoted: `note` has accounted for the message already.
    func noteRefusal(
        _ error: PubSubMessageError, _ byteCount: Int, isNoted: Bool, _ redisChannel: Span<UInt8>,
        counters: inout RouterCounters
    ) {
        counters.messagesRefused += 1
        counters.drops[DropReason(error)] += 1
        unsafe table.noteRefusal(error.hostID, "\(error)", byteCount: isNoted ? nil : byteCount)
        refusals.log(error, redisChannel: redisChannel)
    }

    private func log(
        _ change: SenderTable.Change, _ dialect: Dialect?, of hostID: ByteString?,
        _ redisChannel: Span<UInt8>
    ) {
        // Once the table is full of invented senders, a new one tells nothing.
        unsafe logger.log(
            level: table.forgotten == 0 ? .info : .debug,
            change == .sender ? "a sender is new on the channel" : "a sender writes in another format than before",
            metadata: [
                "host_id": "\(hostID?.description ?? "none")", "dialect": "\(dialect?.label ?? "unknown")",
                "channel": "\(PrintableText.line(redisChannel))",
            ])
    }
}
