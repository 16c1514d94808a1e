/// Names that mean something to this library: those that only spell data, and those whose content JSON can show.
///
/// Modules are matched in both their Python 2 and Python 3 spellings, whatever the protocol.
enum WellKnownName: UInt8 {
    case other
    // Reductions that are always data.
    case set, frozenset, bytes, bytearray, encode
    // Constructors and base classes that the views and JSON know.
    case reconstructor, newObj
    case dict, list, tuple, text, integer, float, object
    case orderedDict, defaultDict, counter, deque
    case datetime, date, time, timedelta, timezone
    case decimal, uuid, fraction, complex
    case numpyScalar, numpyType, numpyArray
    /// By which Python 3.11.0 to 3.11.3 pickles an enum member, and all do nested classes at protocols below 4.
    case attribute

    init(_ node: TapeNode) {
        self = WellKnownName(rawValue: UInt8(truncatingIfNeeded: node.count)) ?? .other
    }

    init(module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) {
        self = .other
        if equalBytes(module, "builtins") || equalBytes(module, "__builtin__") {
            self = Self.builtin(name)
        } else if equalBytes(module, "_codecs") {
            if equalBytes(name, "encode") { self = .encode }
        } else if equalBytes(module, "copyreg") || equalBytes(module, "copy_reg") {
            if equalBytes(name, "_reconstructor") { self = .reconstructor }
            if equalBytes(name, "__newobj__") { self = .newObj }
        } else if equalBytes(module, "collections") {
            self = Self.collection(name)
        } else if equalBytes(module, "datetime") {
            self = Self.temporal(name)
        } else if equalBytes(module, "decimal") || equalBytes(module, "_decimal") || equalBytes(module, "_pydecimal") {
            if equalBytes(name, "Decimal") { self = .decimal }
        } else if equalBytes(module, "uuid") {
            if equalBytes(name, "UUID") { self = .uuid }
        } else if equalBytes(module, "fractions") {
            if equalBytes(name, "Fraction") { self = .fraction }
        } else if equalBytes(module, "numpy") {
            if equalBytes(name, "dtype") { self = .numpyType }
        } else if equalBytes(module, "numpy.core.multiarray") || equalBytes(module, "numpy._core.multiarray") {
            if equalBytes(name, "scalar") { self = .numpyScalar }
            if equalBytes(name, "_reconstruct") { self = .numpyArray }
        } else if equalBytes(module, "numpy.core.numeric") || equalBytes(module, "numpy._core.numeric") {
            if equalBytes(name, "_frombuffer") { self = .numpyArray }
        }
    }

    private static func builtin(_ name: UnsafeRawBufferPointer) -> WellKnownName {
        if equalBytes(name, "set") { return .set }
        if equalBytes(name, "frozenset") { return .frozenset }
        if equalBytes(name, "bytes") { return .bytes }
        if equalBytes(name, "bytearray") { return .bytearray }
        if equalBytes(name, "object") { return .object }
        if equalBytes(name, "dict") { return .dict }
        if equalBytes(name, "list") { return .list }
        if equalBytes(name, "tuple") { return .tuple }
        if equalBytes(name, "str") || equalBytes(name, "unicode") { return .text }
        if equalBytes(name, "int") || equalBytes(name, "long") { return .integer }
        if equalBytes(name, "float") { return .float }
        if equalBytes(name, "complex") { return .complex }
        if equalBytes(name, "getattr") { return .attribute }
        return .other
    }

    private static func collection(_ name: UnsafeRawBufferPointer) -> WellKnownName {
        if equalBytes(name, "OrderedDict") { return .orderedDict }
        if equalBytes(name, "defaultdict") { return .defaultDict }
        if equalBytes(name, "Counter") { return .counter }
        if equalBytes(name, "deque") { return .deque }
        return .other
    }

    private static func temporal(_ name: UnsafeRawBufferPointer) -> WellKnownName {
        if equalBytes(name, "datetime") { return .datetime }
        if equalBytes(name, "date") { return .date }
        if equalBytes(name, "time") { return .time }
        if equalBytes(name, "timedelta") { return .timedelta }
        if equalBytes(name, "timezone") { return .timezone }
        return .other
    }
}
