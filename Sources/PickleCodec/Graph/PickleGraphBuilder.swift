import Bytes

extension PickleGraph {
    /// Builds a `PickleGraph` node by node: the way to write values that are shared or contain themselves.
    ///
    /// ```
    /// var builder = PickleGraph.Builder()
    /// let list = builder.list()
    /// builder.append(list, to: list)            // l = []; l.append(l)
    /// let pickle = try builder.finish(root: list).encoded()
    /// ```
    ///
    /// A node added twice to containers is one object for Python. Strings of equal bytes become one node, as the strings
    /// of a Python program mostly are.
    public struct Builder: ~Copyable {
        var tape = PickleTape()
        /// Open-addressed table of text nodes by content; 0 is free.
        private var texts = RawArray<UInt32>()
        private var textCount = 0
        private let hash = KeyedHash.ofThisProcess

        /// The latest text keys, by their index in the dict.
        private var lastKeys = RawArray<UInt32>()

        /// Longest text looked up among those before; longer ones are rarely repeated.
        private static var longestShared: Int { 128 }

        /// An empty builder.
        public init() {
            tape.reset()
        }

        /// Forgets everything and keeps the memory.
        mutating func reset() {
            tape.reset()
            lastKeys.truncate(to: 0)
            // Clearing a large table costs more than the next message may need.
            let size = min(texts.count, 256)
            texts.truncate(to: 0)
            texts.append(repeating: 0, count: size)
            textCount = 0
        }

        /// The graph with a root. The builder is used up.
        public consuming func finish(root: PickleNode) -> PickleGraph {
            PickleGraph(tape, root: root)
        }

        // MARK: Scalars

        /// None.
        public var none: PickleNode { PickleNode(index: PickleTape.none) }

        /// A bool.
        public func bool(_ value: Bool) -> PickleNode {
            PickleNode(index: value ? PickleTape.true : PickleTape.false)
        }

        /// An int.
        public mutating func int(_ value: Int) -> PickleNode {
            var node = TapeNode(kind: .int)
            node.word = UInt64(bitPattern: Int64(value))
            return add(node)
        }

        /// An int of any size, two's complement, little-endian.
        public mutating func int(twosComplement bytes: [UInt8]) -> PickleNode {
            let length = unsafe bytes.withUnsafeBytes { unsafe TwosComplement.minimalLength($0) }
            if length <= 8 {
                return unsafe int(
                    Int(truncatingIfNeeded: bytes.withUnsafeBytes { unsafe TwosComplement.word($0, length: length) }))
            }
            var node = bytesNode(.int, Array(bytes[..<length]))
            node.flags.insert(.big)
            return add(node)
        }

        /// A float, bit for bit.
        public mutating func float(_ value: Double) -> PickleNode {
            var node = TapeNode(kind: .float)
            node.word = value.bitPattern
            return add(node)
        }

        /// A str.
        public mutating func string(_ text: String) -> PickleNode {
            var text = text
            return text.withUTF8 { unsafe string(valid: UnsafeRawBufferPointer($0)) }
        }

        /// A str as UTF-8 in which surrogates may stand; other bytes that are not UTF-8 become U+FFFD.
        public mutating func string(wtf8 bytes: [UInt8]) -> PickleNode {
            guard unsafe bytes.withUnsafeBytes({ unsafe WTF8.isValid($0) }) else {
                return string(String(decoding: bytes, as: UTF8.self))
            }
            return unsafe bytes.withUnsafeBytes { unsafe string(valid: $0) }
        }

        /// The node of the text key at an index of a dict.
        mutating func keyNode(_ text: String, _ index: Int) -> PickleNode {
            var text = text
            return text.withUTF8 { utf8 in
                let bytes = UnsafeRawBufferPointer(utf8)
                let isKnown = index < lastKeys.count
                if isKnown, unsafe equalBytes(tape.content(of: tape.nodes[lastKeys[index]]), bytes) {
                    return PickleNode(index: lastKeys[index])
                }
                let node = unsafe string(valid: bytes)
                if isKnown {
                    lastKeys[index] = node.index
                } else if index == lastKeys.count, index < 64 {
                    lastKeys.append(node.index)
                }
                return node
            }
        }

        private mutating func string(valid bytes: UnsafeRawBufferPointer) -> PickleNode {
            guard bytes.count <= Self.longestShared else { return unsafe add(bytesNode(.str, bytes)) }
            if textCount * 2 >= texts.count { growTexts() }
            let slot = unsafe slot(of: bytes)
            if texts[slot] != 0 { return PickleNode(index: texts[slot]) }
            let node = unsafe add(bytesNode(.str, bytes))
            texts[slot] = node.index
            textCount += 1
            return node
        }

        /// The slot of a text in the table, or the free slot for it.
        private func slot(of bytes: UnsafeRawBufferPointer) -> Int {
            let mask = texts.count - 1
            var slot = unsafe Int(truncatingIfNeeded: hash.hash(of: bytes)) & mask
            while texts[slot] != 0, unsafe !equalBytes(tape.content(of: tape.nodes[texts[slot]]), bytes) {
                slot = (slot + 1) & mask
            }
            return slot
        }

        private mutating func growTexts() {
            var known = RawArray<UInt32>()
            for slot in 0..<texts.count where texts[slot] != 0 { known.append(texts[slot]) }
            let size = max(64, texts.count * 2)
            texts.truncate(to: 0)
            texts.append(repeating: 0, count: size)
            for place in 0..<known.count {
                unsafe texts[slot(of: tape.content(of: tape.nodes[known[place]]))] = known[place]
            }
        }

        /// A Python 2 str.
        public mutating func byteString(_ bytes: [UInt8]) -> PickleNode { add(bytesNode(.byteString, bytes)) }

        /// bytes.
        public mutating func bytes(_ bytes: [UInt8]) -> PickleNode { add(bytesNode(.bytes, bytes)) }

        /// A bytearray, an object of its own.
        public mutating func bytearray(_ bytes: [UInt8]) -> PickleNode {
            var node = bytesNode(.bytearray, bytes)
            node.flags.insert(.unhashable)
            return add(node)
        }

        /// A name.
        public mutating func global(_ name: PickleName) -> PickleNode {
            let module = string(name.module).index
            let text = string(name.name).index
            let flags: TapeNode.Flags =
                switch name.origin {
                case .unknown: []
                case .upToProtocol2: .upToProtocol2
                case .fromProtocol3: .fromProtocol3
                }
            return add(tape.global(module: module, name: text, flags))
        }

        /// A persistent reference.
        public mutating func persistentID(_ id: PickleNode) -> PickleNode {
            add(TapeNode(kind: .persistentID, first: id.index))
        }

        // MARK: Containers

        /// A tuple of values that exist already.
        public mutating func tuple(_ items: [PickleNode]) -> PickleNode {
            var flags: TapeNode.Flags = []
            for item in items { flags.formUnion(tape.nodes[item.index].flags.intersection(.unhashable)) }
            return add(container(.tuple, items, flags))
        }

        /// A frozenset of values that exist already.
        public mutating func frozenset(_ items: [PickleNode]) -> PickleNode { add(container(.frozenset, items, [])) }

        /// A list, which `append(_:to:)` may fill later.
        public mutating func list(_ items: [PickleNode] = []) -> PickleNode {
            add(container(.list, items, .unhashable))
        }

        /// A set, which `append(_:to:)` may fill later. Elements must be hashable and different.
        public mutating func set(_ items: [PickleNode] = []) -> PickleNode { add(container(.set, items, .unhashable)) }

        /// A dict, which `setValue(_:forKey:in:)` may fill later. Keys must be hashable and different.
        public mutating func dict(_ pairs: [(key: PickleNode, value: PickleNode)] = []) -> PickleNode {
            dict(flat: pairs.flatMap { [$0.key, $0.value] })
        }

        /// A dict of keys and values in turn.
        mutating func dict(flat items: [PickleNode]) -> PickleNode { add(container(.dict, items, .unhashable)) }

        /// Appends to a list, set or object (as APPEND). Other kinds are a programmer's error.
        public mutating func append(_ item: PickleNode, to target: PickleNode) {
            let kind = tape.nodes[target.index].kind
            precondition(kind == .list || kind == .set || kind == .object)
            extend(target, ObjectField.items, [item])
        }

        /// Adds a pair to a dict or object. The key must not be in it yet.
        public mutating func setValue(_ value: PickleNode, forKey key: PickleNode, in target: PickleNode) {
            let kind = tape.nodes[target.index].kind
            precondition(kind == .dict || kind == .object)
            extend(target, ObjectField.pairs, [key, value])
        }

        /// An object: what would be called with what. States, items and pairs may be given later.
        public mutating func object(
            _ constructor: PickleConstructor, _ callable: PickleNode, arguments: PickleNode, keywords: PickleNode? = nil
        ) -> PickleNode {
            precondition(tape.nodes[arguments.index].kind == .tuple)
            return add(tape.object(constructor, callable.index, arguments.index, keywords: keywords?.index ?? 0))
        }

        /// Gives an object a state, as BUILD does.
        public mutating func setState(_ state: PickleNode, of object: PickleNode) {
            precondition(tape.nodes[object.index].kind == .object)
            extend(object, ObjectField.states, [state])
        }

        /// Adds an element to an object, as ADDITEMS does.
        public mutating func add(_ element: PickleNode, toSetLike object: PickleNode) {
            precondition(tape.nodes[object.index].kind == .object)
            extend(object, ObjectField.adds, [element])
        }

        // MARK: Tape

        private mutating func add(_ node: TapeNode) -> PickleNode {
            tape.nodes.append(node)
            return PickleNode(index: UInt32(tape.nodes.count - 1))
        }

        private mutating func bytesNode(_ kind: PickleKind, _ bytes: [UInt8]) -> TapeNode {
            unsafe bytes.withUnsafeBytes { unsafe bytesNode(kind, $0) }
        }

        private mutating func bytesNode(_ kind: PickleKind, _ bytes: UnsafeRawBufferPointer) -> TapeNode {
            let start = tape.scratch.count
            if let base = unsafe bytes.bindMemory(to: UInt8.self).baseAddress {
                unsafe tape.scratch.append(from: base, count: bytes.count)
            }
            return TapeNode(kind: kind, flags: .inScratch, count: UInt32(bytes.count), first: UInt32(start))
        }

        private mutating func container(
            _ kind: PickleKind, _ items: [PickleNode], _ flags: TapeNode.Flags
        ) -> TapeNode {
            var chain = ItemChain()
            extend(&chain, items)
            return TapeNode(kind, flags, chain: chain)
        }

        private mutating func extend(_ target: PickleNode, _ field: Int, _ items: [PickleNode]) {
            var node = tape.nodes[target.index]
            if node.kind == .object {
                var chain = tape.chain(field, ofRecord: node.first)
                extend(&chain, items)
                tape.setChain(chain, field, ofRecord: node.first)
            } else {
                extend(&node.chain, items)
                tape.nodes[target.index] = node
            }
        }

        private mutating func extend(_ chain: inout ItemChain, _ items: [PickleNode]) {
            // A node is its index, four bytes.
            unsafe items.withUnsafeBytes { bytes in
                // Four billion links would need 16 GB first; memory ends before.
                if let base = unsafe bytes.bindMemory(to: UInt32.self).baseAddress {
                    try? unsafe tape.extend(&chain, from: base, count: items.count)
                }
            }
        }
    }
}
