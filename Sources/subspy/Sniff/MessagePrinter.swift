import JSONCodec
import PubSubMessages

/// Prints messages, one line each; as the original `subspy.py` does unless asked for another form.
final class MessagePrinter {
    private let output: LineOutput
    private let form: PayloadForm
    private var repr = PythonRepr()

    init(output: LineOutput, form: PayloadForm) {
        self.output = output
        self.form = form
    }

    /// Whether lines about the subscription are printed too; the other forms are for other programs.
    var printsSubscriptions: Bool { form == .python }

    /// Prints a message, if the filter wants its text.
    ///
    /// - Returns: whether it was printed.
    func print(
        _ payload: UnsafeRawBufferPointer, _ inspection: MessageInspector.Inspection, of inspector: MessageInspector,
        filter: MessageFilter
    ) -> Bool {
        let needsText = filter.needsText || form == .python
        if needsText { render(payload, inspection.form, of: inspector) }
        if filter.needsText {
            guard repr.output.withUnsafeBytes({ filter.accepts(text: $0, payload: payload) }) else { return false }
        }
        guard filter.drawsLot() else { return false }
        switch form {
        case .python: repr.output.withUnsafeBytes { output.append($0) }
        case .raw: output.append(payload)
        case .hex:
            repr.removeAll()
            for byte in payload { repr.append(hexadecimal: UInt32(byte), digits: 2) }
            repr.output.withUnsafeBytes { output.append($0) }
        case .opcodes: output.append(PickleReport.opcodes(of: payload, inspection.form))
        case .audit: output.append(PickleReport.audit(of: payload, inspection.form))
        }
        output.endLine()
        return true
    }

    private func render(
        _ payload: UnsafeRawBufferPointer, _ form: MessageInspector.Form, of inspector: MessageInspector
    ) {
        repr.removeAll()
        do throws(PythonRepr.TooLong) {
            switch form {
            case .pickle: try repr.appendRoot(ofPickleIn: inspector)
            case .json: try repr.appendRoot(ofJSONIn: inspector)
            case .undecodable(let error): renderUndecodable(payload, "\(error)")
            }
        } catch {
            renderUndecodable(payload, "its text would take more than \(repr.maximumBytes) bytes")
        }
    }

    /// A line that says why not, and what was there.
    private func renderUndecodable(_ payload: UnsafeRawBufferPointer, _ reason: String) {
        repr.removeAll()
        let unit = payload.count == 1 ? "byte" : "bytes"
        for byte in "undecodable, \(payload.count) \(unit): \(reason): ".utf8 { repr.output.append(byte) }
        let shown = UnsafeRawBufferPointer(rebasing: payload.prefix(Self.maximumShownBytes))
        repr.append(bytes: shown)
        if shown.count < payload.count { repr.append("...") }
    }

    /// Bytes shown of a payload that can't be decoded; `--raw` and `--hex` show them all.
    static let maximumShownBytes = 4_096
}

extension PythonRepr {
    fileprivate mutating func appendRoot(ofPickleIn inspector: MessageInspector) throws(TooLong) {
        var isTooLong = false
        inspector.withPickle { document in
            do throws(TooLong) { try append(document.root, of: document) } catch { isTooLong = true }
        }
        if isTooLong { throw TooLong() }
    }

    fileprivate mutating func appendRoot(ofJSONIn inspector: MessageInspector) throws(TooLong) {
        var isTooLong = false
        inspector.withJSON { document in
            do throws(TooLong) { try append(document.root, of: document) } catch { isTooLong = true }
        }
        if isTooLong { throw TooLong() }
    }
}
