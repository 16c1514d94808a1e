/// What loading a pickle in Python would have imported and called: the question to ask of a file one does not know.
///
/// ```
/// let audit = PickleAudit(of: bytes)
/// for name in audit.imports { print(name) }     // os.system
/// ```
///
/// Nothing is imported or called to find out. Calls that were made and thrown away again are listed too. A broken pickle is
/// audited up to where it breaks: Python would have called what came before.
public struct PickleAudit: Sendable {
    /// A call Python would make.
    public struct Call: Hashable, Sendable {
        /// What would be called; nil when that is itself the result of a call.
        public let name: PickleName?
        /// By which opcode.
        public let constructor: PickleConstructor
    }

    /// Each name that would be imported, once, in order.
    public private(set) var imports: [PickleName] = []
    /// Each different call, once, in order. Calls that only spell plain data (sets and bytes of old protocols) are not among
    /// them; their names are among `imports`.
    public private(set) var calls: [Call] = []
    /// Whether a persistent id would be handed to the application.
    public private(set) var hasPersistentIDs = false
    /// Why the pickle breaks off, nil when it does not.
    public let error: PickleError?

    /// Whether loading would import and call nothing at all.
    public var isPlainData: Bool { imports.isEmpty && calls.isEmpty && !hasPersistentIDs && error == nil }

    /// Audits the pickle at the start of some bytes.
    public init(of bytes: [UInt8], limits: PickleLimits = .init()) {
        var document = PickleDocument(limits: limits)
        var found = Findings()
        error = bytes.withUnsafeBytes { bytes in
            var failure: PickleError?
            do throws(PickleError) {
                try document.parse(bytes)
            } catch {
                failure = error
            }
            // While the bytes are there: names are read from them.
            found.collect(document.machine.tape)
            return failure
        }
        imports = found.imports
        calls = found.calls
        hasPersistentIDs = found.hasPersistentIDs
    }

    private struct Findings {
        var imports: [PickleName] = []
        var calls: [Call] = []
        var hasPersistentIDs = false
        private var knownNames: Set<PickleName> = []
        private var knownCalls: Set<Call> = []

        /// Looks at every node, also those the result no longer holds.
        mutating func collect(_ tape: borrowing PickleTape) {
            for index in 0..<tape.nodes.count {
                let node = tape.nodes[index]
                switch node.kind {
                case .global:
                    let name = self.name(node, tape)
                    if knownNames.insert(name).inserted { imports.append(name) }
                case .object:
                    let callable = tape.nodes[tape.links[Int(node.first) + ObjectField.callable]]
                    let call = Call(
                        name: callable.kind == .global ? name(callable, tape) : nil,
                        constructor: PickleConstructor(rawValue: tape.links[node.first]) ?? .reduce)
                    if knownCalls.insert(call).inserted { calls.append(call) }
                case .persistentID: hasPersistentIDs = true
                default: break
                }
            }
        }

        private func name(_ node: TapeNode, _ tape: borrowing PickleTape) -> PickleName {
            PickleName(
                module: String(decoding: tape.content(of: tape.nodes[node.first]), as: UTF8.self),
                name: String(decoding: tape.content(of: tape.nodes[node.last]), as: UTF8.self))
        }
    }
}
