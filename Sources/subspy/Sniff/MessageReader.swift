import JSONCodec
import PickleCodec
import PubSubMessages

/// Reads payloads as the bridge does, and gives each as the Python value that it holds, whatever its format.
final class MessageReader {
    private let inspector: MessageInspector
    private var format: MessageInspector.Format?
    // A value of a JSON text is read as the pickle of the value that `json.loads` makes of it, so that one walk prints both.
    private var pickle = PickleWriter(version: 4)
    private var pickled = PickleDocument()

    init(limits: PubSubMessageLimits = .init()) {
        inspector = MessageInspector(limits: limits)
    }

    /// Reads a payload, whose bytes must stay valid until the next call.
    func inspect(_ payload: UnsafeRawBufferPointer) -> MessageInspector.Inspection {
        let inspection = unsafe inspector.inspect(payload)
        format = inspection.format
        return inspection
    }

    /// The reason why the payload inspected last can't be read; nil when it can.
    var error: PubSubMessageError? {
        if case .undecodable(let error) = format { error } else { nil }
    }

    /// True when the payload inspected last is JSON.
    var isJSON: Bool {
        if case .json = format { true } else { false }
    }

    /// Calls `body` with the value of the payload inspected last, or with that of one of its keys; not where there is none.
    func withValue(forKey key: StaticString? = nil, _ body: (borrowing PickleDocument, PickleNode) throws -> Void)
        rethrows
    {
        switch format {
        case .undecodable, nil: return
        case .pickle:
            try inspector.withPickle { document in
                let value = key.map { document.value(forKey: $0, in: document.root) } ?? document.root
                if let value { try body(document, value) }
            }
        case .json:
            try inspector.withJSON { document in
                let value = key.map { document.value(forKey: $0, in: document.root) } ?? document.root
                guard let value else { return }
                pickle.removeAll()
                pickle.append(value, of: document)
                pickle.finish()
                try unsafe pickle.withUnsafeBytes { bytes in
                    // It never fails: a pickle may hold more, and nest as deeply, as a JSON text within its limits.
                    guard unsafe (try? pickled.parse(bytes)) != nil else { return }
                    try body(pickled, pickled.root)
                }
            }
        }
    }

    /// Reads a payload as a Python value.
    func value(of payload: [UInt8]) throws -> (inspection: MessageInspector.Inspection, value: PickleValue) {
        try unsafe payload.withUnsafeBytes { bytes in
            let inspection = unsafe inspect(bytes)
            switch inspection.format {
            case .undecodable(let error): throw Refusal("\(error)")
            case .pickle: return (inspection, try PickleValue(decoding: payload))
            case .json: return (inspection, try inspector.withJSON { try PickleValue($0.root, of: $0) })
            }
        }
    }

    /// Reads a payload as a message.
    func dict(of payload: [UInt8]) throws -> (inspection: MessageInspector.Inspection, dict: PickleDict) {
        let (inspection, value) = try value(of: payload)
        guard case .dict(let dict) = value else { throw Refusal("it is no dict") }
        return (inspection, dict)
    }
}
