import Bytes
import JSONCodec
import PickleCodec

/// Writes an ack that contains bytes as a pickle of protocol 2, which all emitters that use pickles can read, on Python 2
/// too. Arguments are a tuple, as python-socketio writes them.
struct PickledCallback: ~Copyable {
    private var writer = PickleWriter(version: 2)

    private init() {}

    static func encode(
        _ address: CallbackAddress, arguments: borrowing JSONDocument, attachments: [[UInt8]]
    ) throws(PubSubMessageError) -> [UInt8] {
        var pickle = PickledCallback()
        pickle.writer.beginDict()
        pickle.writer.append("method")
        pickle.writer.append("callback")
        pickle.writer.append("host_id")
        pickle.put(address.hostID.map { .text($0) } ?? .none)
        pickle.writer.append("sid")
        pickle.put(address.room)
        pickle.writer.append("namespace")
        pickle.put(address.namespace)
        pickle.writer.append("id")
        pickle.put(address.id)
        pickle.writer.append("args")
        pickle.writer.beginTuple()
        var isComplete = true
        for argument in arguments.elements(of: arguments.root)
        where !pickle.writer.append(argument, of: arguments, attachments: attachments) {
            isComplete = false
        }
        pickle.writer.endTuple()
        pickle.writer.endDict()
        pickle.writer.finish()
        guard isComplete else { throw PubSubMessageError(.placeholderOutOfRange, hostID: address.hostID) }
        return pickle.writer.copyBytes()
    }

    private mutating func put(_ value: CallbackAddress.RouteValue) {
        switch value {
        case .none: writer.appendNone()
        case .bool(let bool): writer.append(bool)
        case .integer(let integer): writer.append(integer)
        case .float(let float): writer.append(float)
        case .text(let text): writer.appendText(text)
        case .tuple(let values):
            writer.beginTuple()
            for value in values { put(value) }
            writer.endTuple()
        case .list(let values):
            writer.beginList()
            for value in values { put(value) }
            writer.endList()
        }
    }
}

extension JSONDocument {
    /// The `num` of a placeholder (an object with a truthy `_placeholder` and a `num`); nil for other objects,
    /// Int64.min if it is no integer.
    func placeholderNumber(_ object: Node) -> Int64? {
        guard let mark = value(forKey: "_placeholder", in: object), isTruthy(mark),
            let number = value(forKey: "num", in: object)
        else { return nil }
        return int64(number) ?? .min
    }
}
