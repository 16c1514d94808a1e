import Bytes
import JSONCodec
import PickleCodec

/// Routes and writes most emits from their bytes, without parsing them.
///
/// It only saves time. For any payload it may return nil or false; the decoder then parses the payload and comes to the same
/// result. The rules for the meaning of a message are in `PubSubMessageDecoder`.
///
///     payload ─▶ locate ─▶ nobody in the room: done
///                       └▶ writeEvent ─▶ ["event",…]
///
/// `locate` finds the values of an emit without reading its data, so it accepts payloads whose data a parser refuses.
/// `writeEvent` checks the whole payload and returns false for those.
package struct EmitFastLane: ~Copyable {
    private var pickles = PickleLocator()
    private var objects = JSONLocator()
    private var content = Content.none
    private let pickleLimits: PickleLimits
    private let jsonLimits: JSONLimits

    /// The format of the last emit and the places of its values.
    private enum Content {
        case none
        case pickle(EmitLayout)
        case json(EmitLayout)
    }

    package init(pickleLimits: PickleLimits, jsonLimits: JSONLimits) {
        self.pickleLimits = pickleLimits
        self.jsonLimits = jsonLimits
    }

    /// Finds the values of an emit in its bytes; nil for everything that has to be parsed.
    ///
    /// - Parameter payload: must stay valid until the next `locate`, because `writeEvent` reads from it. So it is no span, which
    ///   ends with the call.
    package mutating func locate(_ payload: UnsafeRawBufferPointer) -> LocatedEmit? {
        content = .none
        if unsafe payload.first == UInt8(ascii: "{") {
            guard let layout = unsafe objects.locateEmit(payload) else { return nil }
            content = .json(layout)
            return LocatedEmit(layout, of: objects)
        }
        guard let layout = unsafe pickles.locateEmit(payload) else { return nil }
        content = .pickle(layout)
        return LocatedEmit(layout, of: pickles)
    }

    /// Writes the event of the emit located last, `["update",{"time":1}]`, as the parsers' documents would write it.
    ///
    /// - Parameter isArgumentList: a list in the data of JSON holds the arguments.
    /// - Returns: false, with nothing written, if the payload has to be parsed.
    package mutating func writeEvent(isArgumentList: Bool, to writer: inout JSONWriter) -> Bool {
        let start = writer.count
        let isWritten =
            switch content {
            case .none: false
            case .pickle(let layout): writePickle(layout, to: &writer)
            case .json(let layout): writeJSON(layout, isArgumentList: isArgumentList, to: &writer)
            }
        if !isWritten { writer.truncate(to: start) }
        return isWritten
    }

    private func writePickle(_ layout: EmitLayout, to writer: inout JSONWriter) -> Bool {
        writer.append("[")
        guard
            pickles.appendEvent(
                name: Int(layout.event), arguments: Int(layout.data), to: &writer, limits: pickleLimits)
        else { return false }
        writer.append("]")
        return true
    }

    private func writeJSON(_ layout: EmitLayout, isArgumentList: Bool, to writer: inout JSONWriter) -> Bool {
        guard let event = unsafe objects.text(at: Int(layout.event)), objects.isTrivial(except: Int(layout.data)) else {
            return false
        }
        let data = objects[Int(layout.data)]
        writer.append("[\"")
        unsafe writer.append(raw: event)
        writer.append("\"")
        let start = writer.count
        let isList = isArgumentList && data.kind == .list
        if !isList { writer.append(",") }
        if isList || data.kind != .none {
            guard unsafe writer.appendVerbatim(data.value.bytes(of: objects.input), limits: jsonLimits) else {
                return false
            }
        }
        if isList, !writer.ends(with: "[]", from: start), !writer.ends(with: "[null]", from: start) {
            // A comma replaces the opening bracket, since the members of the list follow the name directly.
            writer.replaceByte(at: start, with: UInt8(ascii: ","))
        } else {
            if isList || data.kind == .none { writer.truncate(to: start) }
            writer.append("]")
        }
        return true
    }
}

/// The routing values of an emit, as bytes of its payload.
///
/// They are texts only: one room or everybody, at most one sid to skip, no callback, and no mistake of the sender.
@safe package struct LocatedEmit {
    /// Begins with a slash.
    package let namespace: UnsafeRawBufferPointer
    package let hostID: UnsafeRawBufferPointer
    /// Nil for everybody.
    package let room: UnsafeRawBufferPointer?
    package let skipSID: UnsafeRawBufferPointer?
    package let isPickle: Bool
    /// JSON: there is a key `binary`.
    package let hasBinary: Bool
    /// JSON: the data is a list.
    package let dataIsList: Bool
}

extension LocatedEmit {
    @inline(__always)
    fileprivate init?<Walk: MessageWalk>(_ layout: EmitLayout, of locator: borrowing MessageLocator<Walk>) {
        guard let namespace = unsafe locator.namespace(layout), let host = unsafe locator.text(at: Int(layout.hostID))
        else { return nil }
        unsafe self.namespace = unsafe namespace
        unsafe hostID = unsafe host
        unsafe room = unsafe layout.room < 0 ? nil : locator.text(at: Int(layout.room))
        unsafe skipSID = unsafe layout.skipSID < 0 ? nil : locator.text(at: Int(layout.skipSID))
        isPickle = !Walk.isJSON
        hasBinary = layout.hasBinary
        dataIsList = Walk.isJSON && locator[Int(layout.data)].kind == .list
    }
}
