import Bytes

/// A decoded pickle with its sharing and cycles: a flat, immutable graph of nodes.
///
/// A list that occurs twice is one node with one identity; a list can contain itself. Nothing is lost, so that
/// `encoded(protocolVersion:)` writes everything back. Copying costs a retain, releasing frees three buffers, whatever
/// the nesting: no recursion. Use `PickleValue` where a tree is enough.
public struct PickleGraph: Sendable {
    let storage: Storage
    /// The value of the pickle.
    public let root: PickleNode

    /// A document whose tape holds its bytes.
    ///
    /// `@unchecked Sendable`: the document owns its memory, is written only before this object exists, and is never
    /// changed afterwards.
    final class Storage: @unchecked Sendable {
        let document: PickleDocument

        init(_ document: consuming PickleDocument) {
            self.document = document
        }
    }

    init(_ tape: consuming PickleTape, root: PickleNode) {
        storage = Storage(PickleDocument(tape))
        self.root = root
    }

    /// Decodes the pickle at the start of some bytes, which are copied.
    ///
    /// - Parameters:
    ///   - bytes: a pickle of any protocol; what follows STOP is ignored.
    ///   - limits: bounds on the input.
    ///   - buffers: out-of-band buffers of protocol 5, in order.
    ///   - extensions: the `copyreg` extension registry.
    /// - Throws: `PickleError` with the offset of the opcode that failed.
    public init(
        decoding bytes: [UInt8], limits: PickleLimits = .init(), buffers: [[UInt8]] = [],
        extensions: PickleExtensionRegistry = .init()
    ) throws(PickleError) {
        let scratch = PickleScratch.borrow(limits: limits)
        defer { scratch.giveBack() }
        self = try scratch.document.decode(bytes, buffers: buffers, extensions: extensions) { document in
            PickleGraph(document.machine.tape.frozen(), root: document.root)
        }
    }

    /// Writes the graph as a pickle; shared and cyclic values stay so.
    ///
    /// - Parameters:
    ///   - protocolVersion: 0 to 5. Default 4, Python's from 3.8 to 3.13.
    ///   - isFramed: whether protocols 4 and 5 are cut into frames as CPython does. Default true.
    public func encoded(protocolVersion: Int = 4, isFramed: Bool = true) throws(PickleWriteError) -> [UInt8] {
        let scratch = PickleSerializerScratch.borrow()
        defer { scratch.giveBack() }
        return try scratch.serialize(root.index, of: storage.document.machine.tape, protocolVersion, isFramed)
    }
}

extension PickleTape {
    /// A copy of exact size that owns the bytes of the input too.
    borrowing func frozen() -> PickleTape {
        var copy = PickleTape()
        let base = scratch.count
        unsafe copy.nodes.append(from: nodes.base, count: nodes.count)
        unsafe copy.links.append(from: links.base, count: links.count)
        unsafe copy.scratch.reserve(base + input.count)
        unsafe copy.scratch.append(from: scratch.base, count: base)
        if let bytes = unsafe input.bindMemory(to: UInt8.self).baseAddress {
            unsafe copy.scratch.append(from: bytes, count: input.count)
        }
        for index in 0..<copy.nodes.count {
            var node = copy.nodes[index]
            guard node.hasBytes, !node.flags.contains(.inScratch) else { continue }
            node.flags.insert(.inScratch)
            node.first += UInt32(base)
            copy.nodes[index] = node
        }
        return copy
    }
}

extension TapeNode {
    /// True if `first` and `count` name bytes.
    var hasBytes: Bool {
        switch kind {
        case .str, .byteString, .bytes, .bytearray: true
        case .int: flags.contains(.big)
        default: false
        }
    }
}
