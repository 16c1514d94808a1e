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
        for entry in Self.table where equalBytes(name, entry.name) {
            if equalBytes(module, entry.module.0) || equalBytes(module, entry.module.1) { self = entry.meaning }
        }
    }

    // A module in both spellings.
    private typealias Module = (StaticString, StaticString)
    private static var builtins: Module { ("builtins", "__builtin__") }
    private static var codecs: Module { ("_codecs", "_codecs") }
    private static var copyreg: Module { ("copyreg", "copy_reg") }
    private static var collections: Module { ("collections", "collections") }
    private static var numpy: Module { ("numpy", "numpy") }
    private static var multiarray: Module { ("numpy._core.multiarray", "numpy.core.multiarray") }
    private static var numeric: Module { ("numpy._core.numeric", "numpy.core.numeric") }

    private static let table: [(module: Module, name: StaticString, meaning: WellKnownName)] = [
        (builtins, "set", .set), (builtins, "frozenset", .frozenset),
        (builtins, "bytes", .bytes), (builtins, "bytearray", .bytearray), (codecs, "encode", .encode),
        (copyreg, "_reconstructor", .reconstructor), (copyreg, "__newobj__", .newObj),
        (builtins, "dict", .dict), (builtins, "list", .list), (builtins, "tuple", .tuple),
        (builtins, "str", .text), (builtins, "unicode", .text),
        (builtins, "int", .integer), (builtins, "long", .integer), (builtins, "float", .float),
        (collections, "OrderedDict", .orderedDict), (collections, "defaultdict", .defaultDict),
        (collections, "Counter", .counter), (builtins, "getattr", .attribute),
        (numpy, "dtype", .numpyType), (multiarray, "scalar", .numpyScalar),
        (multiarray, "_reconstruct", .numpyArray), (numeric, "_frombuffer", .numpyArray),
    ]
}
