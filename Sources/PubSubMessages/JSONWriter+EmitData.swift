import Bytes
import JSONCodec

/// The `data` of an emit, and behind it the key `binary` where the form needs it.
///
/// Bare data, which is no list, is one argument to every receiver. Those of 5.15.1 and later spread a list: for them one
/// argument that is a list, several, and bytes are a list of arguments, with the `binary` key that tells this form.
extension JSONWriter {
    /// Writes one argument.
    package mutating func appendData(_ data: JSONDocument.Node, of document: borrowing JSONDocument) {
        let isList = document.kind(of: data) == .array
        if isList { append("[") }
        document.write(data, to: &self)
        if isList { append("],\"binary\":false") }
    }

    /// Writes a list of arguments.
    ///
    /// - Parameters:
    ///   - list: JSON array, with placeholders where bytes stand.
    ///   - attachments: these, in the order of the placeholders' numbers.
    package mutating func appendData(list: UnsafeRawBufferPointer, attachments: [[UInt8]]) {
        if !attachments.isEmpty { append("[") }
        append(raw: list)
        for attachment in attachments {
            append(",\"")
            attachment.withUnsafeBytes { appendBase64($0) }
            append("\"")
        }
        if attachments.isEmpty { append(",\"binary\":false") } else { append("],\"binary\":true") }
    }
}
