import Bytes
import JSONCodec
import PickleCodec

/// Turns the message that its reader has inspected last into text: Python's repr, JSON, or the fields that people look for.
struct MessageRenderer: ~Copyable {
    let reader: MessageReader
    private var repr: PythonRepr
    private var json: JSONText

    /// - Parameter maximumTextLength: for texts in JSON, which can't be cut as a whole.
    init(_ reader: MessageReader, redaction: Redaction = .none, maximumTextLength: Int? = nil) {
        self.reader = reader
        repr = PythonRepr(redaction: redaction)
        json = JSONText(redaction: redaction, maximumTextLength: maximumTextLength)
    }

    /// Sets how long the texts of a payload may become.
    mutating func prepare(for payload: UnsafeRawBufferPointer) {
        repr.maximumBytes = max(Limits.leastTextBytes, payload.count * Limits.textBytesPerPayloadByte)
        json.repr.maximumBytes = repr.maximumBytes
    }

    // MARK: Python

    /// Renders the payload.
    mutating func render(_ payload: UnsafeRawBufferPointer) {
        unsafe prepare(for: payload)
        repr.removeAll()
        if let error = reader.error { return unsafe renderUndecodable(payload, "\(error)") }
        if !Self.append(nil, of: reader, to: &repr) { unsafe renderUndecodable(payload, tooLong) }
    }

    /// Reads a payload and renders it.
    mutating func inspectAndRender(_ payload: [UInt8]) {
        unsafe payload.withUnsafeBytes {
            _ = unsafe reader.inspect($0)
            unsafe render($0)
        }
    }

    /// Renders the value of one key; nothing where there is none.
    mutating func render(_ key: StaticString) {
        repr.removeAll()
        if !Self.append(key, of: reader, to: &repr) {
            repr.removeAll()
            repr.append("...")
        }
    }

    /// Renders the bytes of a payload that can't be decoded, as Python's bytes.
    mutating func renderBytes(_ payload: UnsafeRawBufferPointer) {
        repr.removeAll()
        unsafe appendBytes(payload)
    }

    /// Calls `body` with what was rendered last.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { unsafe repr.output.withUnsafeBytes(body) }

    /// Renders the reason why a payload can't be shown, and its bytes.
    private mutating func renderUndecodable(_ payload: UnsafeRawBufferPointer, _ reason: String) {
        repr.removeAll()
        let unit = payload.count == 1 ? "byte" : "bytes"
        repr.output.append(text: "undecodable, \(payload.count) \(unit): \(reason): ")
        unsafe appendBytes(payload)
    }

    private mutating func appendBytes(_ payload: UnsafeRawBufferPointer) {
        // The values to be hidden may stand anywhere in it.
        guard repr.redaction.isEmpty else { return repr.append(PythonRepr.words.hidden) }
        let shown = unsafe UnsafeRawBufferPointer(rebasing: payload.prefix(Limits.undecodableBytes))
        unsafe repr.append(bytes: shown)
        if shown.count < payload.count { repr.append("...") }
    }

    /// The reason for not showing a message.
    var tooLong: String { "its text would take more than \(repr.maximumBytes) bytes" }

    // MARK: JSON

    /// The reason why the JSON written last can't be read back as the same values; nil when it can. JSON always can.
    var refusal: String? { reader.isJSON ? nil : json.refusal.map { "\($0)" } }

    /// Appends the message, or the value of one key, as JSON; `null` where there is none.
    ///
    /// - Returns: false when it would have been too long.
    @discardableResult
    mutating func appendJSON(_ key: StaticString? = nil, to writer: inout JSONWriter) -> Bool {
        json.removeAll()
        let isComplete = Self.append(key, of: reader, to: &json)
        if !isComplete || json.output.count == 0 {
            json.removeAll()
            json.append(JSONText.words.none)
        }
        unsafe json.output.withUnsafeBytes { unsafe writer.append(raw: $0) }
        return isComplete
    }

    /// Appends what is known of a payload that can't be decoded: `,"error":"…","payload":{"$bytes":"…"}`.
    mutating func appendUndecodable(_ payload: UnsafeRawBufferPointer, _ reason: String, to writer: inout JSONWriter) {
        writer.append(",\"error\":")
        appendJSON(sentence: reason, to: &writer)
        writer.append(",\"payload\":")
        json.removeAll()
        if json.redaction.isEmpty {
            unsafe json.append(bytes: payload, .bytes)
        } else {
            json.append(JSONText.words.hidden)
        }
        unsafe json.output.withUnsafeBytes { unsafe writer.append(raw: $0) }
    }

    /// Appends a text about the message in quotes.
    mutating func appendJSON(text: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        json.removeAll()
        unsafe json.append(key: text)
        unsafe json.output.withUnsafeBytes { unsafe writer.append(raw: $0) }
    }

    /// Appends a sentence of ours in quotes.
    mutating func appendJSON(sentence: String, to writer: inout JSONWriter) {
        var sentence = sentence
        sentence.withUTF8 { unsafe appendJSON(text: UnsafeRawBufferPointer($0), to: &writer) }
    }

    // MARK: Fields

    /// Appends the value of a key as people write it: texts without quotes, items of a list with commas between them,
    /// nothing for None and for what is missing; everything else as JSON.
    mutating func appendField(_ key: StaticString, to writer: inout JSONWriter) {
        json.removeAll()
        let reader = reader
        let isHidden = json.redaction.hides(key)
        reader.withValue(forKey: key) { document, node in
            if isHidden { return json.append("***") }
            guard [.list, .tuple].contains(document.kind(of: node)) else {
                return json.append(field: node, of: document)
            }
            var items = document.elements(of: node)
            var isFirst = true
            while let item = items.next(in: document) {
                if !isFirst { json.append(",") }
                isFirst = false
                json.append(field: item, of: document)
            }
        }
        unsafe json.output.withUnsafeBytes { unsafe writer.append(raw: $0) }
    }

    /// Appends the key and its value in brackets, `(keep 300) `.
    mutating func appendLabelled(_ key: StaticString, to writer: inout JSONWriter) {
        writer.append("(")
        writer.append(key)
        writer.append(" ")
        appendField(key, to: &writer)
        writer.append(") ")
    }

    // MARK: Values

    /// - Returns: false when the text would have been too long.
    private static func append<Spelling: ValueSpelling & ~Copyable>(
        _ key: StaticString?, of reader: MessageReader, to spelling: inout Spelling
    ) -> Bool {
        let isHidden = key.map { spelling.redaction.hides($0) } ?? false
        let isData = key.map { ByteString(stringLiteral: $0) == "data" } ?? false
        do {
            try reader.withValue(forKey: key) { document, node in
                if isHidden { return spelling.append(Spelling.words.hidden) }
                spelling.data = isData ? node : key == nil ? document.value(forKey: "data", in: node) : nil
                if !reader.isJSON { spelling.data = nil }
                try spelling.append(node, of: document)
            }
            return true
        } catch {
            return false
        }
    }
}

extension JSONText {
    fileprivate mutating func append(field node: PickleNode, of document: borrowing PickleDocument) {
        var content = node
        if document.kind(of: node) == .object, case .node(let inner)? = document.builtinContent(of: node) {
            content = inner
        }
        if document.kind(of: content) == .none { return }
        guard document.isText(content), let text = unsafe document.bytes(of: content) else {
            return (try? append(content, of: document)) ?? append("...")
        }
        unsafe PrintableText.append(text, to: &output)
    }
}
