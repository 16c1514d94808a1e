import Bytes
import JSONCodec
import PubSubMessages

/// The parts of an event's JSON array that decide how it is kept.
struct EventContent {
    let name: ByteString
    /// False for an event without arguments.
    let hasData: Bool

    /// Nil if the event's name is no text.
    init?(_ event: EncodedEvent) {
        let json = unsafe event.json
        guard json.count > 3, unsafe json[1] == UInt8(ascii: "\"") else { return nil }
        var end = 2
        var isEscaped = false
        while unsafe end < json.count && json[end] != UInt8(ascii: "\"") {
            let escape = unsafe json[end] == UInt8(ascii: "\\")
            if escape { isEscaped = true }
            end += escape ? 2 : 1
        }
        guard end + 1 < json.count else { return nil }
        hasData = unsafe json[end + 1] != UInt8(ascii: "]")
        guard isEscaped else {
            name = unsafe ByteString(UnsafeRawBufferPointer(rebasing: json[2..<end]))
            return
        }
        guard let text = unsafe Self.unescaped(UnsafeRawBufferPointer(rebasing: json[1...end])) else { return nil }
        name = text
    }

    private static func unescaped(_ text: UnsafeRawBufferPointer) -> ByteString? {
        var document = JSONDocument()
        do {
            try unsafe document.parse(text)
            return document.byteString(document.root)
        } catch {
            return nil
        }
    }
}
