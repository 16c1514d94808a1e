import JSONCodec
import PubSubMessages

/// Prints messages, one line each; as the original `subspy.py` does unless asked for another form.
final class MessagePrinter {
    private let output: LineOutput
    private let form: PayloadForm
    private var renderer = MessageRenderer()

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
        if needsText { renderer.render(payload, inspection.form, of: inspector) }
        if filter.needsText {
            guard renderer.withBytes({ filter.accepts(text: $0, payload: payload) }) else { return false }
        }
        guard filter.drawsLot() else { return false }
        switch form {
        case .python: renderer.withBytes { output.append($0) }
        case .raw: output.append(payload)
        case .hex:
            renderer.renderHexadecimal(payload)
            renderer.withBytes { output.append($0) }
        case .opcodes: output.append(PickleReport.opcodes(of: payload, inspection.form))
        case .audit: output.append(PickleReport.audit(of: payload, inspection.form))
        }
        output.endLine()
        return true
    }
}
