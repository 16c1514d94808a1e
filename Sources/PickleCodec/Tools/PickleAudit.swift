/// The imports and calls that Python would make if it loaded a pickle: for files from unknown sources.
///
/// ```
/// let audit = PickleAudit(of: bytes)
/// for name in audit.imports { print(name) }     // os.system
/// ```
///
/// Nothing is imported or called. Calls are listed even if their results are thrown away, and so are those of every
/// pickle that follows the first, since a program that goes on loading from the file reaches them. A broken pickle is
/// audited up to where it breaks: Python would have made the calls before. A pickle that is refused here may still be
/// read by one of CPython's loaders (`pickle.loads`, `pickle.load` from a file, the one in pure Python). Its names are
/// then collected as far as possible, and `isComplete` is false.
public struct PickleAudit: Sendable {
    /// A call Python would make.
    public struct Call: Hashable, Sendable {
        /// The name of the callable; nil if that is itself the result of a call.
        public let name: PickleName?
        /// The opcode that makes the call.
        public let constructor: PickleConstructor
    }

    /// Each name that would be imported, once, in order.
    public var imports: [PickleName] { findings.imports }
    /// Each different call, once, in order. Calls that only spell built-in values (sets and bytes of old protocols) are left
    /// out; their names are among `imports`.
    public var calls: [Call] { findings.calls }
    /// True if a persistent id would be handed to the application.
    public var hasPersistentIDs: Bool { findings.hasPersistentIDs }
    /// The number of pickles that follow each other in the bytes, including a broken last one.
    public private(set) var pickleCount = 0
    /// The failure in the last pickle; nil if there is none. Its offset is counted from the start of all bytes.
    public private(set) var error: PickleError?
    /// True if no loader of CPython would import or call anything else.
    public private(set) var isComplete = true
    /// True if the first pickle, which is all that `pickle.loads` reads, is the only one that imports or calls anything.
    public private(set) var isFirstOnly = true

    /// True if loading would import and call nothing at all.
    public var isPlainData: Bool { findings.isEmpty && error == nil && isComplete }

    private var findings = Findings()

    /// Audits the pickles in some bytes. Line ends after the last are ignored.
    public init(of bytes: [UInt8], limits: PickleLimits = .init()) {
        var limits = limits
        // No tree is built, so depth costs nothing.
        limits.maximumDepth = .max
        var document = PickleDocument(limits: limits)
        var start = 0
        // CPython's loaders disagree on where the next pickle begins if STOP is inside a frame.
        var beginsInFrame = false
        unsafe bytes.withUnsafeBytes { bytes in
            repeat {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
                let known = findings.count
                beginsInFrame =
                    beginsInFrame || document.machine.isInFrame && document.machine.at < document.machine.end
                do throws(PickleError) {
                    try unsafe document.parse(rest)
                } catch {
                    self.error = error.moved(by: start)
                }
                pickleCount += 1
                // Now, while the bytes are valid: names are read from them.
                findings.collect(document.machine.tape)
                if start > 0, findings.count > known || error != nil { isFirstOnly = false }
                if error != nil { break }
                start += document.consumedBytes
            } while unsafe !bytes[start...].allSatisfy { $0 == 0x0a || $0 == 0x0d }
            // An `Unpickler` keeps its memo from pickle to pickle, so later pickles may mean something else to it.
            let isRefused = error.map { !$0.isCertain } ?? false
            guard isRefused || pickleCount > 1 else { return }
            var walk = unsafe PickleAuditWalk(bytes)
            let known = findings.count
            walk.run(&findings)
            if pickleCount > 1, findings.count > known { isFirstOnly = false }
            isComplete = !isRefused && !beginsInFrame && walk.isComplete
        }
    }

    /// The names and calls found so far.
    struct Findings: Sendable {
        private(set) var imports: [PickleName] = []
        private(set) var calls: [Call] = []
        private(set) var hasPersistentIDs = false
        private var knownNames: Set<PickleName> = []
        private var knownCalls: Set<Call> = []

        var count: Int { imports.count + calls.count + (hasPersistentIDs ? 1 : 0) }
        var isEmpty: Bool { count == 0 }

        mutating func insert(_ name: PickleName) {
            if knownNames.insert(name).inserted { imports.append(name) }
        }

        mutating func insert(_ call: Call) {
            if knownCalls.insert(call).inserted { calls.append(call) }
        }

        mutating func insertPersistentID() { hasPersistentIDs = true }

        /// Looks at every node, including those that the result no longer holds.
        mutating func collect(_ tape: borrowing PickleTape) {
            for index in 0..<tape.nodes.count {
                let node = tape.nodes[index]
                switch node.kind {
                case .global: insert(tape.name(of: node))
                case .object:
                    let callable = tape.nodes[tape.links[Int(node.first) + ObjectField.callable]]
                    insert(
                        Call(
                            name: callable.kind == .global ? tape.name(of: callable) : nil,
                            constructor: PickleConstructor(rawValue: tape.links[node.first]) ?? .reduce))
                case .persistentID: hasPersistentIDs = true
                default: break
                }
            }
        }
    }
}

extension PickleError {
    /// True if every loader of CPython stops here as well.
    fileprivate var isCertain: Bool { cause == .truncated || cause == .unknownOpcode }

    fileprivate func moved(by count: Int) -> PickleError {
        count == 0
            ? self
            : PickleError(
                PickleFault(cause.code, detail), byteOffset: byteOffset + count, opcodeByte: opcodeByte)
    }
}
