import Bytes

/// Names with a meaning for this library: those that only spell data, and those whose content JSON can show.
///
/// Modules are matched in both their Python 2 and Python 3 spellings, whatever the protocol.
enum WellKnownName: UInt8 {
    case other
    // Reductions that are always data.
    case set, frozenset, bytes, bytearray, encode
    // Constructors and base classes.
    case reconstructor, newObj
    case dict, list, tuple, text, integer, float
    case orderedDict, defaultDict, counter
    case numpyScalar, numpyType, numpyArray
    /// Python 3.11.0 to 3.11.3 pickles enum members by it, and every Python nested classes at protocols below 4.
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
            if equalBytes(name, "OrderedDict") { self = .orderedDict }
            if equalBytes(name, "defaultdict") { self = .defaultDict }
            if equalBytes(name, "Counter") { self = .counter }
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
        if equalBytes(name, "dict") { return .dict }
        if equalBytes(name, "list") { return .list }
        if equalBytes(name, "tuple") { return .tuple }
        if equalBytes(name, "str") || equalBytes(name, "unicode") { return .text }
        if equalBytes(name, "int") || equalBytes(name, "long") { return .integer }
        if equalBytes(name, "float") { return .float }
        if equalBytes(name, "getattr") { return .attribute }
        return .other
    }
}
