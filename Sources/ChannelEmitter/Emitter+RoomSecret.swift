import NIOCore

extension Emitter {
    /// The secret of the rooms `space::…`, for the pages that may join them.
    ///
    /// ws-emit compares it with the secret that a page sends. It is the value of the key `ws-emit::room_secret::space` in this
    /// emitter's Redis, which must be ws-emit's own, database included. If there is none yet, a random secret is stored; a
    /// secret that is already there is kept.
    ///
    /// - Throws: as emitting does; `refused` also if the value is no text.
    public func roomSecret(of space: String) async throws(EmitterError) -> String {
        let key = Array("ws-emit::room_secret::\(space)".utf8)
        let proposal = Array(Self.randomSecret().utf8)
        guard let value = try await withPublisher({ $0.get(key, orSet: proposal) }),
            let secret = String(validating: value.readableBytesView, as: UTF8.self)
        else { throw EmitterError(.refused, "the secret of the room-space \(space) is no text") }
        return secret
    }

    /// 256 bits of the system's generator in hexadecimal digits.
    private static func randomSecret() -> String {
        (0..<4).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
