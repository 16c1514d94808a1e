import Bytes
import JSONCodec

/// The `data` of an emit, followed by the key `binary` where the format needs it.
///
/// Every receiver takes bare data other than a list as one argument. Receivers of 5.15.1 and later spread a list, so a list
/// as one argument, several arguments and bytes are written as a list of arguments, with the key `binary` that marks this
/// format.
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
    ///   - list: JSON array, with placeholders for bytes.
    ///   - attachments: the bytes, in the order of the placeholders' numbers.
    package mutating func appendData(list: UnsafeRawBufferPointer, attachments: [[UInt8]]) {
        if !attachments.isEmpty { append("[") }
        unsafe append(raw: list)
        for attachment in attachments {
            append(",\"")
            unsafe attachment.withUnsafeBytes { unsafe appendBase64($0) }
            append("\"")
        }
        if attachments.isEmpty { append(",\"binary\":false") } else { append("],\"binary\":true") }
    }
}
