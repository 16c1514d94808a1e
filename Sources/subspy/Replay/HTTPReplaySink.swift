import Bytes
import NIOCore
import NIOHTTP1
import PickleCodec
import PubSubMessages

/// Posts the emits of a replay to a ws-emit's `/emit`.
///
/// One request follows the other: several connections would lose the order. Messages and keys that the request can't express
/// are left out and counted.
final class HTTPReplaySink: ReplaySink {
    private let run: RunLoop
    private let target: HTTPTarget
    private let emitter: HTTPEmitter
    private let secret: ByteString
    private let isPatient: Bool
    private var replayer: Replayer?
    private let reader = MessageReader()
    private var simplifiedCount = 0
    private var leftOutCount = 0
    private var refusedCount = 0
    private var hasStarted = false
    private var isWaiting = false
    /// True while no request is under way.
    private(set) var isIdle = true

    init(run: RunLoop, target: HTTPTarget, secret: ByteString, isPatient: Bool) {
        self.run = run
        self.target = target
        self.secret = secret
        self.isPatient = isPatient
        emitter = HTTPEmitter(run: run, target: target)
    }

    var hasRoom: Bool { isIdle }
    var exitCode: Int32 { refusedCount > 0 ? 65 : 0 }

    var remarks: String? {
        var remarks = ""
        if simplifiedCount > 0 { remarks += "; \(simplifiedCount) without callback or skip_sid, which /emit can't say" }
        if leftOutCount > 0 { remarks += "; \(leftOutCount) left out, which /emit can't say" }
        if refusedCount > 0 { remarks += "; \(refusedCount) refused" }
        return remarks
    }

    func start(_ replayer: Replayer, _ ready: @escaping () -> Void) {
        self.replayer = replayer
        ready()
    }

    func take(_ entry: ReplayEntries.Entry) {
        do {
            let request = try EmitRequest(entry.payload, secret: secret, by: reader)
            isIdle = false
            post(request, byteCount: entry.payload.count)
        } catch {
            if leftOutCount == 0 { StandardError.say("a message can't be posted and is left out: \(error)") }
            leftOutCount += 1
        }
    }

    func flush() {}

    private func post(_ request: EmitRequest, byteCount: Int) {
        emitter.post(request.body) { [self] result in
            guard run.exitCode == nil else { return }
            switch result {
            case .success(let response):
                hasStarted = true
                guard take(response, request, byteCount: byteCount) else { return }
                isIdle = true
                replayer?.proceed()
            case .failure(.unreachable(let reason)) where !hasStarted: wait(request, byteCount: byteCount, reason)
            case .failure(let failure):
                let which = "message \((replayer?.publishedCount ?? 0) + 1) and those after it"
                StandardError.say("\(target) \(failure); \(which) may not have been emitted")
                replayer?.end(75)
            }
        }
    }

    /// Tries again until the server is there.
    private func wait(_ request: EmitRequest, byteCount: Int, _ reason: String) {
        guard isPatient else {
            StandardError.say("\(target) can't be reached: \(reason)")
            replayer?.end(69)
            return
        }
        if !isWaiting { StandardError.say("\(target) can't be reached, trying again until it is there: \(reason)") }
        isWaiting = true
        run.after(Limits.reconnectAfter) { [self] in post(request, byteCount: byteCount) }
    }

    /// - Returns: whether to go on.
    private func take(_ response: HTTPEmitter.Response, _ request: EmitRequest, byteCount: Int) -> Bool {
        switch response.status.code {
        case 200..<300:
            replayer?.count(bytes: byteCount)
            if request.isSimplified { simplifiedCount += 1 }
            return true
        case 400, 413, 415:
            if refusedCount == 0 {
                StandardError.say("\(target) refused a message, which is left out: \(said(response))")
            }
            refusedCount += 1
            return true
        case 403:
            StandardError.say("\(target) refused the secret (\(said(response))): check SECRET or --secret-file")
            replayer?.end(77)
        case 404, 405:
            StandardError.say(
                "\(target) takes no emits (\(said(response))): ws-emit does at /emit, when it has a secret")
            replayer?.end(69)
        default:
            StandardError.say("\(target) answered \(said(response))")
            replayer?.end(75)
        }
        return false
    }

    /// The status and the sentence of the body.
    private func said(_ response: HTTPEmitter.Response) -> String {
        let status = "\(response.status.code) \(response.status.reasonPhrase)"
        let text = String(decoding: response.body.readableBytesView, as: UTF8.self)
        // A refusal by ws-emit is JSON; one by a proxy or another service is mostly a page.
        for (start, end) in [(#"{"error":""#, #""}"#), ("<p>", "</p>")] {
            guard let start = text.firstRange(of: start), let end = text.firstRange(of: end),
                start.upperBound <= end.lowerBound
            else { continue }
            let sentence = String(text[start.upperBound..<end.lowerBound])
            return "\(status): \(PrintableText.line(sentence, maximumCharacters: Limits.responseCharacters))"
        }
        return status
    }
}

/// The body of `POST /emit` for a recorded message: `event`, `data`, `room`, `namespace`, `keep`, `key` and `secret`.
struct EmitRequest {
    let body: [UInt8]
    /// True when the message had a callback or a skip_sid, which the request has no key for.
    let isSimplified: Bool

    /// - Throws: for a message that the request can't express.
    init(_ payload: [UInt8], secret: ByteString, by reader: MessageReader) throws {
        let (inspection, message) = try reader.dict(of: payload)
        let arguments = try EventArguments(of: message, writtenAs: inspection)
        guard let method = message["method"], method.isText("emit"), let event = message["event"], let arguments else {
            throw Refusal("only emits can be posted")
        }
        guard let namespace = message["namespace"], let name = namespace.textContent, !name.isEmpty else {
            // In the request a missing namespace is the main one.
            throw Refusal("a message without namespace reaches nobody")
        }
        guard arguments.values.count <= 1 else { throw Refusal("an event has several arguments") }
        if case .null? = arguments.values.first { throw Refusal("None is an argument of its own") }
        isSimplified = ["callback", "skip_sid"].contains { key in message[key].map { !$0.isNone } ?? false }
        var writer = JSONWriter()
        var attachments: [[UInt8]] = []
        var fields: [(key: StaticString, value: PickleValue)] = [
            ("event", event), ("data", arguments.values.first ?? .null), ("room", message["room"] ?? .null),
            ("namespace", namespace), ("secret", .text(secret)),
        ]
        if let keep = message["keep"], !keep.isNone { fields.append(("keep", keep)) }
        if let key = message["key"], !key.isNone { fields.append(("key", key)) }
        for (index, field) in fields.enumerated() {
            writer.append(index == 0 ? "{" : ",")
            writer.appendString(field.key)
            writer.append(":")
            try unsafe field.value.json(attachments: &attachments).withUnsafeBytes { unsafe writer.append(raw: $0) }
        }
        writer.append("}")
        guard attachments.isEmpty else { throw Refusal("bytes are among the data") }
        body = writer.copyBytes()
    }
}
