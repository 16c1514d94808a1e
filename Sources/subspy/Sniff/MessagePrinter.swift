import Bytes
import PubSubMessages

/// One message on its way to the output. The bytes are valid during the call that hands it over.
@safe struct ShownMessage {
    let payload: UnsafeRawBufferPointer
    let redisChannel: UnsafeRawBufferPointer
    let inspection: MessageInspector.Inspection
    /// From 1, among those that are shown.
    let number: Int

    var isUndecodable: Bool { if case .undecodable = inspection.format { true } else { false } }
    var isEmit: Bool { inspection.summary.method == "emit" }
    /// The key of the sender's values: the arguments of a callback, the data of any other message.
    var contentKey: StaticString { inspection.summary.method == "callback" ? "args" : "data" }
}

/// Prints messages: a line each, as the original `subspy.py` does, or another format.
final class MessagePrinter {
    private let output: LineOutput
    private let mode: OutputMode
    private let palette: Palette
    private let truncation: Int?
    /// True when the time stands before each message, because the format has no place for it.
    private let prefixesTime: Bool
    private let showsChannel: Bool
    private var timestamps: Timestamps
    private var renderer: MessageRenderer
    /// The text of one message before it is printed.
    private var line = JSONWriter(capacity: 4096)
    private var table: MessageTable?

    /// - Parameter showsChannel: shows people the Redis channel, because there are several.
    init(output: LineOutput, reader: MessageReader, options: OutputOptions, showsChannel: Bool) {
        self.output = output
        self.showsChannel = showsChannel
        mode = options.mode
        palette = Palette(options.color)
        truncation = options.truncate
        var textLength: Int?
        var timeFormat = options.timestamps
        var hasOwnPlace = true
        switch mode {
        case .value(.json): textLength = options.truncate
        case .value(.pretty), .value(.table): break
        case .format(let format):
            hasOwnPlace = format.contains(.time)
            timeFormat = timeFormat ?? .iso
        case .value(.python), .payload: hasOwnPlace = false
        }
        prefixesTime = options.timestamps != nil && !hasOwnPlace
        timestamps = Timestamps(timeFormat)
        renderer = MessageRenderer(reader, redaction: Redaction(options.redact), maximumTextLength: textLength)
        if case .value(.table) = mode { table = MessageTable(palette: palette, timeColumns: timestamps.columns) }
    }

    /// True when lines about the subscription are printed as the original does; the other formats are for other programs.
    var printsSubscriptions: Bool {
        if case .value(.python) = mode { true } else { false }
    }

    /// Prints the line above the messages.
    func printHeading() {
        table?.appendHeading(to: &line)
        flushLine()
    }

    func print(_ message: ShownMessage) {
        timestamps.advance()
        unsafe renderer.prepare(for: message.payload)
        if prefixesTime {
            appendTime()
            line.append(" ")
        }
        switch mode {
        case .value(.python):
            unsafe renderer.render(message.payload)
            appendValue(width: nil)
        case .value(.pretty): appendPretty(message)
        case .value(.json): appendJSON(message)
        case .value(.table): table?.append(message, timestamps, &renderer, truncation: truncation, to: &line)
        case .payload(let format): append(message, as: format)
        case .format(let format):
            append(message, as: format)
            // The format has its own line feeds.
            return flushLine()
        }
        line.append(0x0A)
        flushLine()
    }

    private func flushLine() {
        unsafe line.withUnsafeBytes { unsafe output.append(spelled: $0) }
        line.removeAll()
        output.writeIfFull()
    }

    private func appendTime() {
        palette.paint(.quiet, &line) { timestamps.append(to: &$0) }
    }

    /// Appends what was rendered last, cut and coloured.
    private func appendValue(width: Int?, indent: Int = 0) {
        let layout = ValueLayout(palette: palette, width: width)
        unsafe renderer.withBytes { text in
            let (shown, isCut) = unsafe PrintableText.prefix(text, characters: truncation)
            unsafe layout.append(shown, indent: indent, to: &line)
            if isCut { line.append("…") }
        }
    }

    // MARK: The payload itself

    private func append(_ message: ShownMessage, as format: PayloadFormat) {
        switch format {
        case .raw: unsafe line.append(raw: message.payload)
        case .hex: unsafe appendCut(Hexadecimal.encode(message.payload))
        case .opcodes: unsafe appendCut(PickleReport.opcodes(of: message.payload, message.inspection.format))
        case .audit: unsafe appendCut(PickleReport.audit(of: message.payload, message.inspection.format).line)
        }
    }

    private func appendCut(_ text: String) {
        var text = text
        text.withUTF8 { text in
            let (shown, isCut) = unsafe PrintableText.prefix(UnsafeRawBufferPointer(text), characters: truncation)
            unsafe PrintableText.append(shown, to: &line, keepsLines: true, escapesBackslashes: false)
            if isCut { line.append("…") }
        }
    }

    // MARK: A format of the user's own

    private func append(_ message: ShownMessage, as format: LineFormat) {
        for part in format.parts {
            switch part {
            case .literal(let bytes): unsafe bytes.withUnsafeBytes { unsafe line.append(raw: $0) }
            case .field(let field):
                var text = JSONWriter(capacity: 256)
                append(field, of: message, to: &text)
                unsafe text.withUnsafeBytes { unsafe PrintableText.append($0, characters: truncation, to: &line) }
            }
        }
    }

    private func append(_ field: LineFormat.Field, of message: ShownMessage, to text: inout JSONWriter) {
        switch field {
        case .time: timestamps.append(to: &text)
        case .method: renderer.appendField("method", to: &text)
        case .event: renderer.appendField("event", to: &text)
        case .room: renderer.appendField("room", to: &text)
        case .namespace: renderer.appendField("namespace", to: &text)
        case .skipSID: renderer.appendField("skip_sid", to: &text)
        case .keep: renderer.appendField("keep", to: &text)
        case .key: renderer.appendField("key", to: &text)
        case .sid: renderer.appendField("sid", to: &text)
        case .host: renderer.appendField("host_id", to: &text)
        case .data: renderer.appendJSON(message.contentKey, to: &text)
        case .pythonData:
            renderer.render(message.contentKey)
            unsafe renderer.withBytes { unsafe text.append(raw: $0) }
        case .message: renderer.appendJSON(to: &text)
        case .pythonMessage:
            unsafe renderer.render(message.payload)
            unsafe renderer.withBytes { unsafe text.append(raw: $0) }
        case .size: unsafe text.appendInteger(Int64(message.payload.count))
        case .wireFormat: text.append(text: message.inspection.wireFormat.description)
        case .redisChannel: unsafe PrintableText.append(message.redisChannel, to: &text)
        case .number: text.appendInteger(Int64(message.number))
        case .dropReason: text.append(text: message.inspection.dropReason ?? "")
        }
    }

    // MARK: JSON

    private func appendJSON(_ message: ShownMessage) {
        var json = JSONWriter(capacity: 1024)
        json.append("{\"time\":")
        timestamps.appendJSON(to: &json)
        json.append(",\"channel\":")
        unsafe renderer.appendJSON(text: message.redisChannel, to: &json)
        json.append(",\"size\":")
        unsafe json.appendInteger(Int64(message.payload.count))
        json.append(",\"format\":\"")
        json.append(text: message.inspection.wireFormat.description)
        json.append("\"")
        if case .undecodable(let error) = message.inspection.format {
            unsafe renderer.appendUndecodable(message.payload, "\(error)", to: &json)
        } else {
            let start = json.count
            if let reason = message.inspection.dropReason {
                json.append(",\"error\":")
                renderer.appendJSON(sentence: reason, to: &json)
            }
            json.append(",\"message\":")
            if !renderer.appendJSON(to: &json) {
                json.truncate(to: start)
                unsafe renderer.appendUndecodable(message.payload, renderer.tooLong, to: &json)
            }
        }
        json.append("}")
        let layout = ValueLayout(palette: palette, width: nil)
        unsafe json.withUnsafeBytes { unsafe layout.append($0, to: &line) }
    }

    // MARK: For people

    /// A heading, the reason why receivers drop the message or the sender's mistakes, and its data.
    private func appendPretty(_ message: ShownMessage) {
        appendHeading(message)
        if let reason = message.inspection.dropReason {
            line.append("\n")
            palette.paint(.warning, &line) { $0.append(text: "  \(reason)") }
            // The heading has no place for all parts of such a message: it is shown whole.
            if message.isUndecodable {
                unsafe renderer.renderBytes(message.payload)
            } else {
                unsafe renderer.render(message.payload)
            }
        } else {
            for mistake in message.inspection.mistakes.all {
                line.append("\n")
                palette.paint(.warning, &line) { $0.append(text: "  \(mistake.advice)") }
            }
            renderer.render(message.contentKey)
        }
        guard unsafe renderer.withBytes({ unsafe !$0.isEmpty }) else { return }
        line.append("\n  ")
        appendValue(width: Terminal.columns, indent: 2)
    }

    /// `23:06:10.123  update → time  178 bytes, pickle 4, from ce56fbc1`.
    private func appendHeading(_ message: ShownMessage) {
        func field(_ key: StaticString) -> JSONWriter {
            var text = JSONWriter(capacity: 64)
            renderer.appendField(key, to: &text)
            return text
        }
        func append(_ label: StaticString, _ text: borrowing JSONWriter) {
            guard text.count > 0 else { return }
            line.append(label)
            unsafe text.withUnsafeBytes { unsafe line.append(raw: $0) }
        }
        appendTime()
        line.append("  ")
        palette.paint(.heading, &line) { line in
            if message.isUndecodable { return line.append("undecodable") }
            let name = field(message.isEmit ? "event" : "method")
            if name.count == 0 { line.append(message.isEmit ? "(no event)" : "(no method)") }
            unsafe name.withUnsafeBytes { unsafe line.append(raw: $0) }
        }
        append(" ", field("sid"))
        let room = field("room")
        if message.isEmit, room.count == 0 { line.append(" → everyone") } else { append(" → ", room) }
        if message.inspection.summary.namespace != "/" { append("  namespace ", field("namespace")) }
        append("  skips ", field("skip_sid"))
        append("  keep ", field("keep"))
        append("  key ", field("key"))
        if message.isEmit, field("callback").count > 0 { line.append("  wants an ack") }
        palette.paint(.quiet, &line) { line in
            line.append("  ")
            unsafe line.appendInteger(Int64(message.payload.count))
            unsafe line.append(message.payload.count == 1 ? " byte" : " bytes")
            if !message.isUndecodable { line.append(text: ", \(message.inspection.wireFormat)") }
            let host = field("host_id")
            if host.count > 0 {
                line.append(", from ")
                unsafe host.withUnsafeBytes { _ = unsafe PrintableText.append($0, cutTo: 9, to: &line) }
            }
            if showsChannel {
                line.append(", on ")
                unsafe PrintableText.append(message.redisChannel, to: &line)
            }
        }
    }
}
