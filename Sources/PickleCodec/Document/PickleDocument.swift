/// One pickle parsed into a flat tape of nodes, without a tree, a retain or a `String` per value.
///
/// Scratch memory is reused: keep one document per thread or event loop and parse message after message with it. The
/// bytes given to `parse` stay where they are, text and bytes are read from there: they must stay valid and unchanged
/// until the next `parse`. A node is an index and valid as long.
///
/// Nothing is imported, resolved or called: names, calls and persistent ids become inert `global`, `object` and
/// `persistentID` nodes. Values may be shared and may contain themselves; `hasSharing` is true if that is possible.
package struct PickleDocument: ~Copyable {
    var machine: PickleMachine

    /// The value of the last pickle parsed; None before the first and after an error.
    package private(set) var root = Node(index: PickleTape.none)
    /// Bytes of the input up to and with STOP. Later bytes belong to the caller.
    package private(set) var consumedBytes = 0

    /// One value of the document.
    package typealias Node = PickleNode

    /// - Parameter limits: bounds of a pickle, checked before memory is spent.
    package init(limits: PickleLimits = .init()) {
        machine = PickleMachine(limits: limits)
        machine.tape.reset()
    }

    /// A document of a finished tape, to look at.
    init(_ tape: consuming PickleTape) {
        machine = PickleMachine(limits: .init())
        machine.tape = tape
    }

    /// Parses the pickle at the start of `bytes` (`pickle.loads` without its calls).
    ///
    /// Throws `PickleError` with the offset of the opcode that failed; the document is then empty.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer) throws(PickleError) {
        root = Node(index: PickleTape.none)
        consumedBytes = 0
        unsafe machine.load(bytes)
        do throws(PickleFault) {
            root = try machine.parse()
            consumedBytes = machine.at
        } catch {
            let offset = machine.opcodeOffset
            throw unsafe PickleError(error, byteOffset: offset, opcodeByte: offset < bytes.count ? bytes[offset] : nil)
        }
    }

    /// Parses a pickle that refers to buffers or extensions outside it.
    ///
    /// - Parameters:
    ///   - buffers: out-of-band buffers of protocol 5, in order; their bytes are copied.
    ///   - extensions: the `copyreg` extension registry.
    package mutating func parse(
        _ bytes: UnsafeRawBufferPointer, buffers: [UnsafeRawBufferPointer], extensions: PickleExtensionRegistry
    ) throws(PickleError) {
        unsafe machine.buffers = unsafe buffers
        machine.extensions = extensions
        defer {
            unsafe machine.buffers = unsafe []
            machine.extensions = .init()
        }
        try unsafe parse(bytes)
    }

    /// True if some container was fetched again, so that a value may occur twice or contain itself.
    package var hasSharing: Bool { machine.hasShared }
}

extension PickleMachine {
    /// Runs the loaded pickle, resolves equal keys and checks the nesting of its value.
    mutating func parse() throws(PickleFault) -> PickleNode {
        let limit = min(limits.maximumInputBytes, Int(UInt32.max))
        guard end <= limit else { throw PickleFault(.inputTooLong, UInt64(end)) }
        let result = try run()
        if !pending.isEmpty { resolveKeys() }
        try checkDepth(of: result)
        return PickleNode(index: result)
    }

    /// Checks the nesting of the finished value: exact, also where lists were filled through the memo.
    func checkDepth(of root: UInt32) throws(PickleFault) {
        let noted = tape.nodes[root].depth
        let depth = hasSharedContainers || noted == .max ? tape.treeExtent(of: root).depth : Int(noted)
        if depth > limits.maximumDepth { throw PickleFault(.tooDeep, UInt64(limits.maximumDepth)) }
    }
}
