import JSONCodec
import NIOCore
import NIOHTTP1
import PubSubMessages

/// Posts the emits of a recording to a ws-emit's `/emit`, on time.
///
/// One after the other: several connections would lose the order. What the request has no key for is left out and told.
final class HTTPReplayer {
    private let run: Run
    private let target: HTTPTarget
    private let emitter: HTTPEmitter
    private let secret: ByteString
    private let isPatient: Bool
    private let pace: ReplayPace
    private let progress: ReplayProgress
    private let inspector = MessageInspector()
    private var simplifiedCount = 0
    private var leftOutCount = 0
    private var refusedCount = 0
    private var hasStarted = false
    private var isWaiting = false

    init(
        run: Run, target: HTTPTarget, secret: ByteString, isPatient: Bool, entries: ReplayEntries, pace: ReplayPace
    ) {
        self.run = run
        self.target = target
        self.secret = secret
        self.isPatient = isPatient
        self.pace = pace
        emitter = HTTPEmitter(run: run, target: target)
        progress = ReplayProgress(run, entries)
    }

    func start() {
        run.interrupted = { [weak self] in self?.end(130) }
        progress.start()
        pace.start()
        pump()
    }

    /// Posts the next message when it is due.
    private func pump() {
        guard run.exitCode == nil else { return }
        do throws(RecordingReader.Failure) {
            while true {
                switch try pace.next(progress.entries) {
                case .due(let entry):
                    guard let request = request(for: entry) else { continue }
                    return post(request, byteCount: entry.payload.count)
                case .later(let time):
                    _ = run.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in pump() }
                    return
                case .end: return end(refusedCount > 0 ? 65 : 0)
                }
            }
        } catch {
            StandardError.say("\(error)")
            end(65)
        }
    }

    private func request(for entry: ReplayEntries.Entry) -> EmitRequest? {
        do {
            return try EmitRequest(entry.payload, secret: secret, by: inspector)
        } catch {
            if leftOutCount == 0 { StandardError.say("a message can't be posted and is left out: \(error)") }
            leftOutCount += 1
            return nil
        }
    }

    private func post(_ request: EmitRequest, byteCount: Int) {
        emitter.post(request.body) { [self] result in
            guard run.exitCode == nil else { return }
            switch result {
            case .success(let answer):
                hasStarted = true
                if take(answer, request, byteCount: byteCount) { pump() }
            case .failure(.unreachable(let reason)) where !hasStarted: wait(request, byteCount: byteCount, reason)
            case .failure(let failure):
                let which = "message \(progress.messages + 1) and those after it"
                StandardError.say("\(target) \(failure); \(which) may not have been emitted")
                end(75)
            }
        }
    }

    /// Tries again until the server is there.
    private func wait(_ request: EmitRequest, byteCount: Int, _ reason: String) {
        guard isPatient else {
            StandardError.say("\(target) can't be reached: \(reason)")
            return end(69)
        }
        if !isWaiting { StandardError.say("\(target) can't be reached, trying again until it is there: \(reason)") }
        isWaiting = true
        run.after(.milliseconds(200)) { [self] in post(request, byteCount: byteCount) }
    }

    /// - Returns: whether to go on.
    private func take(_ answer: HTTPEmitter.Answer, _ request: EmitRequest, byteCount: Int) -> Bool {
        switch answer.status.code {
        case 200..<300:
            progress.count(bytes: byteCount)
            if request.isSimplified { simplifiedCount += 1 }
            return true
        case 400, 413, 415:
            if refusedCount == 0 {
                StandardError.say("\(target) refused a message, which is left out: \(said(answer))")
            }
            refusedCount += 1
            return true
        case 403:
            StandardError.say("\(target) refused the secret (\(said(answer))): check SECRET or --secret-file")
            end(77)
        case 404, 405:
            StandardError.say("\(target) takes no emits (\(said(answer))): ws-emit does at /emit, when it has a secret")
            end(69)
        default:
            StandardError.say("\(target) answered \(said(answer))")
            end(75)
        }
        return false
    }

    /// The status and the answer's own sentence.
    private func said(_ answer: HTTPEmitter.Answer) -> String {
        let status = "\(answer.status.code) \(answer.status.reasonPhrase)"
        let text = String(decoding: answer.body.readableBytesView, as: UTF8.self)
        // What ws-emit refuses itself is JSON, what a proxy or another service refuses mostly a page.
        for (start, end) in [(#"{"error":""#, #""}"#), ("<p>", "</p>")] {
            guard let start = text.firstRange(of: start), let end = text.firstRange(of: end),
                start.upperBound <= end.lowerBound
            else { continue }
            let sentence = String(text[start.upperBound..<end.lowerBound])
            return "\(status): \(PrintableText.line(sentence, maximumCharacters: 512))"
        }
        return status
    }

    private func end(_ code: Int32) {
        guard run.exitCode == nil else { return }
        var remarks = ""
        if simplifiedCount > 0 { remarks += "; \(simplifiedCount) without callback or skip_sid, which /emit can't say" }
        if leftOutCount > 0 { remarks += "; \(leftOutCount) left out, which /emit can't say" }
        if refusedCount > 0 { remarks += "; \(refusedCount) refused" }
        progress.finish(remarks)
        run.end(code)
    }
}
