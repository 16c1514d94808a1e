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
        let names = Self.table.first { $0.modules.contains { unsafe equalBytes(module, $0) } }?.names
        self = names?.first { unsafe equalBytes(name, $0.name) }?.meaning ?? .other
    }

    private static let table: [(modules: [StaticString], names: [(name: StaticString, meaning: WellKnownName)])] = [
        (
            ["builtins", "__builtin__"],
            [
                ("set", .set), ("frozenset", .frozenset), ("bytes", .bytes), ("bytearray", .bytearray), ("dict", .dict),
                ("list", .list), ("tuple", .tuple), ("str", .text), ("unicode", .text), ("int", .integer),
                ("long", .integer), ("float", .float), ("getattr", .attribute),
            ]
        ),
        (["_codecs"], [("encode", .encode)]),
        (["copyreg", "copy_reg"], [("_reconstructor", .reconstructor), ("__newobj__", .newObj)]),
        (
            ["collections"],
            [("OrderedDict", .orderedDict), ("defaultdict", .defaultDict), ("Counter", .counter)]
        ),
        (["numpy"], [("dtype", .numpyType)]),
        (
            ["numpy.core.multiarray", "numpy._core.multiarray"],
            [("scalar", .numpyScalar), ("_reconstruct", .numpyArray)]
        ),
        (["numpy.core.numeric", "numpy._core.numeric"], [("_frombuffer", .numpyArray)]),
    ]
}
