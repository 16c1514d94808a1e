import NIOCore
import SocketIOProtocol

extension HTTPResponse {
    /// 400 with the refusal as a JSON string.
    init(_ refusal: EngineIORefusal) {
        self.init(.badRequest, contentType: "text/plain", body: ByteBuffer(bytes: refusal.body))
    }
}
