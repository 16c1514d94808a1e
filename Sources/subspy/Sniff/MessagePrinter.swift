import Bytes
import PubSubMessages

/// One message on its way to the output. The bytes are valid during the call that hands it over.
struct ShownMessage {
    let payload: UnsafeRawBufferPointer
    let redisChannel: UnsafeRawBufferPointer
    let inspection: MessageInspector.Inspection
    /// From 1, among those that are shown.
    let number: Int

    var format: MessageInspector.Format { inspection.format }
}

/// Prints messages: a line each, as the original `subspy.py` does, or another format.
final class MessagePrinter {
    private let output: LineOutput
    let inspector: MessageInspector
    private let mode: OutputMode
    private let palette: Palette
    let truncation: Int?
    /// True when the time stands before each message, because the format has no place for it.
    private let prefixesTime: Bool
    private let showsChannel: Bool
    private(set) var timestamps: Timestamps
    var renderer: MessageRenderer
    /// The text of one message before it is printed.
    var line = JSONWriter(capacity: 4096)
    private var table: MessageTable?

    /// - Parameter showsChannel: shows people the Redis channel, because there are several.
    init(output: LineOutput, inspector: MessageInspector, options: OutputOptions, showsChannel: Bool) {
        self.output = output
        self.inspector = inspector
        self.showsChannel = showsChannel
        mode = options.mode
        palette = Palette(options.color)
        truncation = options.truncate
        var isJSON = false
        var timeFormat = options.timestamps
        var hasOwnPlace = false
        switch mode {
        case .json: (isJSON, hasOwnPlace) = (true, true)
        case .pretty, .table: hasOwnPlace = true
        case .format(let format):
            hasOwnPlace = format.contains(.time)
            timeFormat = timeFormat ?? .iso
        case .python, .payload: break
        }
        prefixesTime = options.timestamps != nil && !hasOwnPlace
        timestamps = Timestamps(timeFormat)
        renderer = MessageRenderer(
            redaction: Redaction(options.redact), maximumTextLength: isJSON ? options.truncate : nil)
        if case .table = mode { table = MessageTable(palette: palette, timeColumns: timestamps.columns) }
    }

    /// True when lines about the subscription are printed as the original does; the other formats are for other programs.
    var printsSubscriptions: Bool {
        if case .python = mode { true } else { false }
    }

    /// Prints the line above the messages.
    func printHeading() {
        table?.appendHeading(to: &line)
        flushLine()
    }

    func print(_ message: ShownMessage) {
        timestamps.advance()
        renderer.prepare(for: message.payload)
        if prefixesTime {
            palette.begin(.quiet, &line)
            timestamps.append(to: &line)
            palette.end(&line)
            line.append(" ")
        }
        switch mode {
        case .python:
            renderer.render(message.payload, message.format, of: inspector)
            appendValue(width: nil)
            endLine()
        case .pretty: appendPretty(message)
        case .json:
            appendJSON(message)
            endLine()
        case .table:
            table?.append(message, of: inspector, timestamps, &renderer, truncation: truncation, to: &line)
            endLine()
        case .format(let format): append(message, as: format)
        case .payload(let format):
            append(message, as: format)
            endLine()
        }
        flushLine()
    }

    private func endLine() { line.append(0x0A) }

    private func flushLine() {
        line.withUnsafeBytes { output.append(spelled: $0) }
        line.removeAll()
        output.writeIfFull()
    }

    /// Appends what was rendered last, cut and coloured.
    private func appendValue(width: Int?, indent: Int = 0) {
        let layout = ValueLayout(palette: palette, width: width)
        renderer.withBytes { text in
            let (shown, isCut) = PrintableText.prefix(text, characters: truncation)
            layout.append(shown, indent: indent, to: &line)
            if isCut { line.append("…") }
        }
    }

    // MARK: The payload itself

    private func append(_ message: ShownMessage, as format: PayloadFormat) {
        switch format {
        case .raw: line.append(raw: message.payload)
        case .hex:
            renderer.renderHexadecimal(message.payload)
            appendPlain(renderer.withBytes { Array($0) })
        case .opcodes: appendPlain(Array(PickleReport.opcodes(of: message.payload, message.format).utf8))
        case .audit: appendPlain(Array(PickleReport.audit(of: message.payload, message.format).line.utf8))
        }
    }

    private func appendPlain(_ text: [UInt8]) {
        text.withUnsafeBytes { text in
            let (shown, isCut) = PrintableText.prefix(text, characters: truncation)
            PrintableText.append(shown, to: &line, keepsLines: true, escapesBackslashes: false)
            if isCut { line.append("…") }
        }
    }

    // MARK: JSON

    private func appendJSON(_ message: ShownMessage) {
        var json = JSONWriter(capacity: 1024)
        json.append("{\"time\":")
        timestamps.appendJSON(to: &json)
        json.append(",\"channel\":")
        renderer.appendJSON(text: message.redisChannel, to: &json)
        json.append(",\"size\":")
        json.appendInteger(Int64(message.payload.count))
        json.append(",\"format\":\"")
        json.append(text: message.inspection.wireFormat.description)
        json.append("\"")
        if case .undecodable(let error) = message.format {
            renderer.appendUndecodable(message.payload, "\(error)", to: &json)
        } else {
            let start = json.count
            if let reason = message.inspection.dropReason {
                json.append(",\"error\":")
                renderer.appendJSON(sentence: reason, to: &json)
            }
            json.append(",\"message\":")
            if !renderer.appendJSON(nil, message.format, of: inspector, to: &json) {
                json.truncate(to: start)
                renderer.appendUndecodable(message.payload, renderer.tooLong, to: &json)
            }
        }
        json.append("}")
        let layout = ValueLayout(palette: palette, width: nil)
        json.withUnsafeBytes { layout.append($0, to: &line) }
    }

    // MARK: For people

    private func appendPretty(_ message: ShownMessage) {
        let format = message.format
        let fields = PrettyHeading(palette: palette)
        fields.appendTime(timestamps, to: &line)
        fields.append(message, of: inspector, &renderer, channel: showsChannel, to: &line)
        endLine()
        let (width, indent) = (Terminal.columns, 2)
        if let reason = message.inspection.dropReason {
            palette.append("  \(reason)", .warning, to: &line)
            endLine()
        }
        // A message that receivers drop is shown whole; so are the parts that have no place in the heading.
        if message.inspection.dropReason != nil {
            if case .undecodable = format {
                renderer.renderBytes(message.payload)
            } else {
                renderer.render(message.payload, format, of: inspector)
            }
        } else if message.inspection.summary.method == "callback" {
            renderer.render("args", format, of: inspector)
        } else {
            renderer.render("data", format, of: inspector)
        }
        guard renderer.withBytes({ !$0.isEmpty }) else { return }
        line.append("  ")
        appendValue(width: width, indent: indent)
        endLine()
    }
}
