import JSONCodec
import PubSubMessages

/// Prints messages as the original `subspy.py` does: one line each, Python's `repr` of what unpickling would give.
final class MessagePrinter {
    private let output: LineOutput
    private var repr = PythonRepr()

    init(output: LineOutput) {
        self.output = output
    }

    func print(_ payload: UnsafeRawBufferPointer, _ form: MessageInspector.Form, of inspector: MessageInspector) {
        repr.removeAll()
        do throws(PythonRepr.TooLong) {
            switch form {
            case .pickle:
                try repr.appendRoot(ofPickleIn: inspector)
            case .json:
                try repr.appendRoot(ofJSONIn: inspector)
            case .undecodable(let error):
                return printUndecodable(payload, "\(error)")
            }
        } catch {
            return printUndecodable(payload, "its text would take more than \(repr.maximumBytes) bytes")
        }
        endLine()
    }

    /// A line that says why not, and what was there.
    private func printUndecodable(_ payload: UnsafeRawBufferPointer, _ reason: String) {
        repr.removeAll()
        let unit = payload.count == 1 ? "byte" : "bytes"
        for byte in "undecodable, \(payload.count) \(unit): \(reason): ".utf8 { repr.output.append(byte) }
        let shown = UnsafeRawBufferPointer(rebasing: payload.prefix(Self.maximumShownBytes))
        repr.append(bytes: shown)
        if shown.count < payload.count { repr.append("...") }
        endLine()
    }

    /// Bytes shown of a payload that can't be decoded; `--raw` and `--hex` show them all.
    static let maximumShownBytes = 4_096

    private func endLine() {
        repr.output.withUnsafeBytes { output.append($0) }
        output.endLine()
    }
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
