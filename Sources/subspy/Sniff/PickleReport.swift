import PickleCodec
import PubSubMessages

/// What there is to say about a payload as a program: Python executes pickles, so that this tells the harmless from the hostile.
enum PickleReport {
    /// The listing of a pickle's opcodes, up to where it breaks; one line for JSON.
    static func opcodes(of payload: UnsafeRawBufferPointer, _ form: MessageInspector.Form) -> String {
        if isJSON(form) { return "JSON, \(payload.count) bytes: no opcodes\n" }
        return PickleDisassembler().disassemble(payload)
    }

    /// One line: `pickle, 41 bytes: imports os.system; calls os.system`.
    static func audit(of payload: UnsafeRawBufferPointer, _ form: MessageInspector.Form) -> String {
        if isJSON(form) { return "JSON, \(payload.count) bytes: plain data" }
        let audit = PickleAudit(of: Array(payload))
        var findings: [String] = []
        if !audit.imports.isEmpty { findings.append("imports " + audit.imports.map(name).joined(separator: ", ")) }
        if !audit.calls.isEmpty {
            findings.append(
                "calls " + audit.calls.map { $0.name.map(name) ?? "the result of a call" }.joined(separator: ", "))
        }
        if audit.hasPersistentIDs { findings.append("asks the application for persistent objects") }
        if let error = audit.error { findings.append("\(error)") }
        return "pickle, \(payload.count) bytes: " + (findings.isEmpty ? "plain data" : findings.joined(separator: "; "))
    }

    private static func isJSON(_ form: MessageInspector.Form) -> Bool {
        switch form {
        case .json: return true
        case .pickle: return false
        case .undecodable(let error):
            if case .json = error.cause { return true }
            return false
        }
    }

    /// A name fit for one line: what isn't printable ASCII becomes `?`.
    private static func name(_ name: PickleName) -> String {
        let text = name.module + "." + name.name
        return String(String.UnicodeScalarView(text.unicodeScalars.map { (0x20..<0x7F).contains($0.value) ? $0 : "?" }))
    }
}
