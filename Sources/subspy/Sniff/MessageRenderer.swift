import JSONCodec
import PubSubMessages

/// Turns messages into the text that Python prints for them.
struct MessageRenderer: ~Copyable {
    private var repr = PythonRepr()

    /// Bytes shown of a payload that can't be decoded; `--raw` and `--hex` show them all.
    static let maximumShownBytes = 4_096

    /// Renders the payload that was inspected last.
    mutating func render(
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
        for byte in "undecodable, \(payload.count) \(unit): \(reason): ".utf8 { repr.output.append(byte) }
        let shown = UnsafeRawBufferPointer(rebasing: payload.prefix(Self.maximumShownBytes))
        repr.append(bytes: shown)
        if shown.count < payload.count { repr.append("...") }
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
