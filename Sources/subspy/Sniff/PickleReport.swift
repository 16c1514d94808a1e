import Bytes
import PickleCodec
import PubSubMessages

/// Describes a payload as a program: Python executes pickles, and this tells harmless ones from hostile ones.
enum PickleReport {
    /// The listing of a pickle's opcodes, up to where it breaks; one line for JSON.
    static func opcodes(of payload: UnsafeRawBufferPointer, _ format: MessageInspector.Format) -> String {
        if isJSON(format) { return "JSON, \(payload.count) bytes: no opcodes\n" }
        var disassembler = PickleDisassembler()
        disassembler.maximumArgumentBytes = .max
        disassembler.maximumOpcodes = .max
        return unsafe disassembler.disassemble(payload.assumingMemoryBound(to: UInt8.self).span)
    }

    /// The effects of executing a payload.
    struct Audit {
        /// `pickle, 41 bytes: imports os.system; calls os.system`.
        let line: String
        let isPickle: Bool
        /// A sentence for standard error and the exit code; nil when loading does what the line says.
        var warning: String?
    }

    static func audit(of payload: UnsafeRawBufferPointer, _ format: MessageInspector.Format) -> Audit {
        if isJSON(format) { return Audit(line: "JSON, \(payload.count) bytes: plain data", isPickle: false) }
        var limits = PickleLimits()
        limits.maximumInputBytes = max(limits.maximumInputBytes, payload.count)
        let audit = unsafe PickleAudit(of: Array(payload), limits: limits)
        func names(_ names: [String]) -> String { names.joined(separator: ", ") }
        var findings: [String] = []
        if !audit.imports.isEmpty { findings.append("imports " + names(audit.imports.map(\.description))) }
        if !audit.calls.isEmpty {
            findings.append("calls " + names(audit.calls.map { $0.name?.description ?? "the result of a call" }))
        }
        if audit.hasPersistentIDs { findings.append("asks the application for persistent objects") }
        if let error = audit.error { findings.append("\(error)") }
        let doubt = "this audit can't vouch for it: Python may read on, and import and call something else"
        if !audit.isComplete { findings.append(doubt) }
        let what = audit.pickleCount == 1 ? "pickle" : "\(audit.pickleCount) pickles"
        var report = Audit(
            line: PrintableText.line(
                "\(what), \(payload.count) bytes: "
                    + (findings.isEmpty ? "plain data" : findings.joined(separator: "; "))),
            isPickle: true)
        if !audit.isComplete {
            report.warning = doubt
        } else if let error = audit.error {
            report.warning = "\(error)"
        } else if !audit.isFirstOnly {
            report.warning = "not the first pickle alone imports or calls something: who goes on loading comes to it"
        }
        return report
    }

    private static func isJSON(_ format: MessageInspector.Format) -> Bool {
        switch format {
        case .json: return true
        case .pickle: return false
        case .undecodable(let error):
            if case .json = error.cause { return true }
            return false
        }
    }
}
