/// Collects names and calls from pickles that are refused here but that CPython may still read.
///
/// It executes opcodes without frames and without checks that could stop it: a missing value or one of an unexpected
/// kind is unknown. So it gets at least as far as CPython, up to a byte that is no opcode or a missing argument.
@safe struct PickleAuditWalk {
    private let bytes: UnsafeRawBufferPointer
    private var reader: OpcodeReader
    private var stack: [Item] = []
    private var marks: [Int] = []
    private var memo: [UInt64: Item] = [:]
    private var names: [PickleName] = []
    /// Most values held: 32 bytes each, and as much again in the memo.
    private static let limit = 1 << 22
    /// True if every name was known.
    private(set) var isComplete = true

    private enum Item {
        /// A text that may become a name: its bytes, and how they are written.
        case text(Range<Int>, OpcodeReader.Argument)
        /// An index in `names`.
        case name(Int)
        /// The result of a call, a value from the application, or a missing value.
        case unknown
        /// A value that can't be called or be a name.
        case data
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = unsafe bytes
        reader = unsafe OpcodeReader(bytes)
    }

    mutating func run(_ findings: inout PickleAudit.Findings) {
        do throws(PickleFault) {
            while let step = try reader.next() {
                guard stack.count + memo.count + names.count < Self.limit else { throw PickleFault(.tooManyNodes) }
                execute(step, &findings)
            }
        } catch {
            if error.code == .tooManyNodes { isComplete = false }
        }
    }

    private mutating func execute(_ step: OpcodeReader.Step, _ findings: inout PickleAudit.Findings) {
        switch step.opcode {
        case .mark: marks.append(stack.count)
        case .stop:
            stack.removeAll(keepingCapacity: true)
            marks.removeAll(keepingCapacity: true)
        case .proto, .frame, .readOnlyBuffer: break
        case .string, .binString, .shortBinString, .unicode, .binUnicode, .shortBinUnicode, .binUnicode8:
            stack.append(.text(step.content, step.argument))
        case .pop: if marks.last == stack.count { _ = marks.popLast() } else { _ = pop() }
        case .popMark: popToMark()
        case .dup: stack.append(stack.last ?? .unknown)
        case .put, .binPut, .longBinPut: unsafe store(step.memoIndex(in: bytes))
        case .memoize: store(UInt64(memo.count))
        case .get, .binGet, .longBinGet: unsafe stack.append(step.memoIndex(in: bytes).flatMap { memo[$0] } ?? .unknown)
        case .list, .tuple, .dict, .frozenSet:
            popToMark()
            stack.append(.data)
        case .appends, .setItems, .addItems: popToMark()
        case .append, .build: _ = pop()
        case .setItem: for _ in 0..<2 { _ = pop() }
        case .tuple1, .tuple2, .tuple3:
            for _ in 0..<(1 - step.opcode.stackEffect) where !isAtMark { _ = pop() }
            stack.append(.data)
        case .global: stack.append(name(lines(step), &findings))
        case .stackGlobal:
            let (name, module) = (pop(), pop())
            if let module = text(module), let name = text(name) {
                stack.append(self.name((module, name), &findings))
            } else {
                isComplete = false
                stack.append(.unknown)
            }
        case .inst:
            popToMark()
            call(name(lines(step), &findings), .inst, &findings)
        case .obj:
            let height = marks.popLast() ?? 0
            let callable = height < stack.count ? stack[height] : .unknown
            stack.removeLast(max(0, stack.count - height))
            call(callable, .obj, &findings)
        case .reduce, .newObj:
            _ = pop()
            call(pop(), step.opcode == .reduce ? .reduce : .newObj, &findings)
        case .newObjEx:
            for _ in 0..<2 { _ = pop() }
            call(pop(), .newObjEx, &findings)
        case .persID, .binPersID:
            if step.opcode == .binPersID { _ = pop() }
            findings.insertPersistentID()
            stack.append(.unknown)
        case .ext1, .ext2, .ext4, .nextBuffer:
            isComplete = false
            stack.append(.unknown)
        default: stack.append(.data)
        }
    }

    // MARK: Stack and memo

    private var isAtMark: Bool { stack.count <= marks.last ?? 0 }

    private mutating func pop() -> Item { isAtMark ? .unknown : stack.removeLast() }

    private mutating func popToMark() {
        stack.removeLast(max(0, stack.count - (marks.popLast() ?? stack.count)))
    }

    private mutating func store(_ index: UInt64?) {
        if let index { memo[index] = stack.last ?? .unknown }
    }

    // MARK: Names

    private mutating func call(
        _ callable: Item, _ constructor: PickleConstructor, _ findings: inout PickleAudit.Findings
    ) {
        var name: PickleName?
        if case .name(let index) = callable { name = names[index] }
        findings.insert(PickleAudit.Call(name: name, constructor: constructor))
        stack.append(.unknown)
    }

    private mutating func name(
        _ parts: (module: String, name: String), _ findings: inout PickleAudit.Findings
    ) -> Item {
        let name = PickleName(module: parts.module, name: parts.name)
        findings.insert(name)
        names.append(name)
        return .name(names.count - 1)
    }

    /// The two lines of GLOBAL and INST.
    private func lines(_ step: OpcodeReader.Step) -> (module: String, name: String) {
        let lines = unsafe bytes[step.content].split(separator: 0x0a, maxSplits: 1, omittingEmptySubsequences: false)
        let texts = unsafe lines.map { unsafe String(decoding: $0, as: UTF8.self) }
        return (texts[0], texts.count > 1 ? texts[1] : "")
    }

    private func text(_ item: Item) -> String? {
        guard case .text(let range, let form) = item else { return nil }
        switch form {
        case .text, .latin1: return unsafe String(decoding: bytes[range], as: UTF8.self)
        default:
            // The machine reads its escapes.
            let end = [UInt8(ascii: "\n"), PickleOpcode.stop.rawValue]
            let line = unsafe bytes[range.lowerBound - 1..<range.upperBound] + end
            let graph = try? PickleGraph(decoding: Array(line))
            return graph.flatMap { graph in graph.bytes(graph.root) }.map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
