import Bytes
import JSONCodec
import PickleCodec
import PubSubMessages

/// Turns messages into text: Python's spelling, JSON, or the fields that people look for.
struct MessageRenderer: ~Copyable {
    private var repr: PythonRepr
    private var json: JSONText

    /// - Parameter maximumTextLength: for texts in JSON, which can't be cut as a whole.
    init(redaction: Redaction = .none, maximumTextLength: Int? = nil) {
        repr = PythonRepr(redaction: redaction)
        json = JSONText(redaction: redaction, maximumTextLength: maximumTextLength)
    }

    /// Sets how long the texts of a payload may become.
    mutating func prepare(for payload: UnsafeRawBufferPointer) {
        repr.maximumBytes = max(Limits.leastTextBytes, payload.count * Limits.textBytesPerPayloadByte)
        json.repr.maximumBytes = repr.maximumBytes
    }

    // MARK: Python

    /// Renders the payload that was inspected last.
    mutating func render(
        _ payload: UnsafeRawBufferPointer, _ format: MessageInspector.Format, of inspector: MessageInspector
    ) {
        prepare(for: payload)
        repr.removeAll()
        if case .undecodable(let error) = format { return renderUndecodable(payload, "\(error)") }
        if !Self.append(nil, format, of: inspector, to: &repr) { renderUndecodable(payload, tooLong) }
    }

    /// Renders a payload as Python's repr.
    mutating func render(_ payload: [UInt8], by inspector: MessageInspector) {
        payload.withUnsafeBytes { render($0, inspector.inspect($0).format, of: inspector) }
    }

    /// Renders the value of one key of the payload that was inspected last; nothing where it has none.
    mutating func render(_ key: StaticString, _ format: MessageInspector.Format, of inspector: MessageInspector) {
        repr.removeAll()
        if !Self.append(key, format, of: inspector, to: &repr) {
            repr.removeAll()
            repr.append("...")
        }
    }

    /// Renders the bytes of a payload that can't be decoded, as Python's bytes.
    mutating func renderBytes(_ payload: UnsafeRawBufferPointer) {
        repr.removeAll()
        appendBytes(payload)
    }

    /// Renders bytes as hexadecimal digits.
    mutating func renderHexadecimal(_ payload: UnsafeRawBufferPointer) {
        repr.removeAll()
        for byte in payload { repr.append(hexadecimal: UInt32(byte), digits: 2) }
    }

    /// Calls `body` with what was rendered last.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { repr.output.withUnsafeBytes(body) }

    /// A line that says why not, and what was there.
    private mutating func renderUndecodable(_ payload: UnsafeRawBufferPointer, _ reason: String) {
        repr.removeAll()
        let unit = payload.count == 1 ? "byte" : "bytes"
        repr.output.append(text: "undecodable, \(payload.count) \(unit): \(reason): ")
        appendBytes(payload)
    }

    private mutating func appendBytes(_ payload: UnsafeRawBufferPointer) {
        // The values to be hidden may stand anywhere in it.
        guard repr.redaction.isEmpty else { return repr.append(PythonRepr.hidden) }
        let shown = UnsafeRawBufferPointer(rebasing: payload.prefix(Limits.undecodableBytes))
        repr.append(bytes: shown)
        if shown.count < payload.count { repr.append("...") }
    }

    /// Why a message is not shown.
    var tooLong: String { "its text would take more than \(repr.maximumBytes) bytes" }

    // MARK: JSON

    /// Why the JSON written last can't be read back as the same values; nil when it can.
    var refusal: String? { json.refusal.map { "\($0)" } }

    /// Appends the message, or the value of one key, as JSON; `null` where there is none.
    ///
    /// - Returns: false when it would have been too long.
    @discardableResult
    mutating func appendJSON(
        _ key: StaticString?, _ format: MessageInspector.Format, of inspector: MessageInspector, to writer: inout JSONWriter
    ) -> Bool {
        json.removeAll()
        let isComplete = Self.append(key, format, of: inspector, to: &json)
        if isComplete, json.output.count > 0 {
            json.output.withUnsafeBytes { writer.append(raw: $0) }
        } else {
            writer.append("null")
        }
        return isComplete
    }

    /// Appends what is known of a payload that can't be decoded: `,"error":"…","payload":{"$bytes":"…"}`.
    mutating func appendUndecodable(
        _ payload: UnsafeRawBufferPointer, _ reason: String, to writer: inout JSONWriter
    ) {
        json.removeAll()
        json.append(",\"error\":")
        json.append(sentence: reason)
        json.append(",\"payload\":")
        if json.redaction.isEmpty { json.append(bytes: payload, .bytes) } else { json.append(JSONText.hidden) }
        json.output.withUnsafeBytes { writer.append(raw: $0) }
    }

    /// Appends a text about the message in quotes.
    mutating func appendJSON(text: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        json.removeAll()
        json.append(key: text)
        json.output.withUnsafeBytes { writer.append(raw: $0) }
    }

    /// Appends a sentence of ours in quotes.
    mutating func appendJSON(sentence: String, to writer: inout JSONWriter) {
        json.removeAll()
        json.append(sentence: sentence)
        json.output.withUnsafeBytes { writer.append(raw: $0) }
    }

    // MARK: Fields

    /// Appends the value of a key as people write it: texts without quotes, items of a list with commas between them,
    /// nothing for None and for what is missing; everything else as JSON.
    mutating func appendField(
        _ key: StaticString, _ format: MessageInspector.Format, of inspector: MessageInspector, to writer: inout JSONWriter
    ) {
        json.removeAll()
        switch format {
        case .undecodable: return
        case .pickle:
            inspector.withPickle { document in
                if let node = document.value(forKey: key, in: document.root) {
                    json.appendPlain(key, node, of: document)
                }
            }
        case .json:
            inspector.withJSON { document in
                if let node = document.value(forKey: key, in: document.root) {
                    json.appendPlain(key, node, of: document)
                }
            }
        }
        json.output.withUnsafeBytes { writer.append(raw: $0) }
    }

    // MARK: Values

    /// - Returns: false when the text would have been too long.
    private static func append<Spelling: ValueSpelling & ~Copyable>(
        _ key: StaticString?, _ format: MessageInspector.Format, of inspector: MessageInspector, to spelling: inout Spelling
    ) -> Bool {
        let name = key.map { ByteString(stringLiteral: $0) }
        let isHidden = name.map { spelling.redaction.hides($0) } ?? false
        do {
            switch format {
            case .undecodable: break
            case .pickle:
                try inspector.withPickle { document in
                    let value = key.map { document.value(forKey: $0, in: document.root) } ?? document.root
                    guard let value else { return }
                    if isHidden { return spelling.append(Spelling.hidden) }
                    try spelling.append(value, of: document)
                }
            case .json:
                try inspector.withJSON { document in
                    let value = key.map { document.value(forKey: $0, in: document.root) } ?? document.root
                    guard let value else { return }
                    if isHidden { return spelling.append(Spelling.hidden) }
                    // In `data` attachments follow the placeholders.
                    if name == "data", document.kind(of: value) == .array {
                        return try spelling.appendArray(value, of: document, isData: true)
                    }
                    try spelling.append(value, of: document)
                }
            }
            return true
        } catch {
            return false
        }
    }
}

extension JSONText {
    fileprivate mutating func appendPlain(
        _ key: StaticString, _ node: PickleNode, of document: borrowing PickleDocument
    ) {
        if !redaction.isEmpty, redaction.hides(ByteString(stringLiteral: key)) { return append("***") }
        switch document.kind(of: node) {
        case .list, .tuple:
            var items = document.elements(of: node)
            var isFirst = true
            while let item = items.next(in: document) {
                if !isFirst { append(",") }
                isFirst = false
                appendPlainItem(item, of: document)
            }
        default: appendPlainItem(node, of: document)
        }
    }

    private mutating func appendPlainItem(_ node: PickleNode, of document: borrowing PickleDocument) {
        var content = node
        if document.kind(of: node) == .object, case .node(let inner)? = document.builtinContent(of: node) {
            content = inner
        }
        if document.kind(of: content) == .none { return }
        guard document.isText(content), let text = document.bytes(of: content) else {
            return (try? append(content, of: document)) ?? append("...")
        }
        PrintableText.append(text, to: &output)
    }

    fileprivate mutating func appendPlain(
        _ key: StaticString, _ node: JSONDocument.Node, of document: borrowing JSONDocument
    ) {
        if !redaction.isEmpty, redaction.hides(ByteString(stringLiteral: key)) { return append("***") }
        guard document.kind(of: node) == .array else { return appendPlainItem(node, of: document) }
        for (index, element) in document.elements(of: node).enumerated() {
            if index > 0 { append(",") }
            appendPlainItem(element, of: document)
        }
    }

    private mutating func appendPlainItem(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        if document.kind(of: node) == .null { return }
        guard let text = document.byteString(node) else {
            return (try? append(node, of: document)) ?? append("...")
        }
        text.bytes.withUnsafeBytes { PrintableText.append($0, to: &output) }
    }
}
