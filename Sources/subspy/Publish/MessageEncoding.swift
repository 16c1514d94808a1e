import JSONCodec
import PickleCodec
import PubSubMessages

/// How messages are written.
enum MessageEncoding: Hashable {
    /// Read by every python-socketio from 1.8.4 on.
    case json
    /// Read by releases up to 5.13; protocol 0 to 5.
    case pickle(version: Int)
}

extension OutgoingMessage {
    /// The payload to publish.
    ///
    /// - Parameter data: JSON text for the `data` of an emit; empty for None.
    func encoded(as encoding: MessageEncoding, data: [UInt8] = []) throws(JSONError) -> [UInt8] {
        var document = JSONDocument()
        let text = data.isEmpty ? Array("null".utf8) : data
        let result: Result<[UInt8], JSONError> = text.withUnsafeBytes { bytes in
            do throws(JSONError) { try document.parse(bytes) } catch { return .failure(error) }
            switch encoding {
            case .json: return .success(json { $0.appendData(document.root, of: document) })
            case .pickle(let version):
                return .success(pickle(version: version) { $0.append(document.root, of: document) })
            }
        }
        return try result.get()
    }
}
