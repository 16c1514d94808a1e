/// One instruction of the pickle machine: the 68 opcodes of protocols 0 to 5.
///
/// The raw value is the byte in the pickle. Readers switch over bytes with the constants as patterns
/// (`switch byte { case PickleOpcode.binInt1: ... }`), which the compiler turns into one jump table.
public struct PickleOpcode: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    /// The byte in the pickle.
    public let rawValue: UInt8

    @inlinable @inline(__always) init(_ byte: UInt8) { rawValue = byte }

    /// The opcode of a byte; nil when it is none of the 68.
    public init?(rawValue: UInt8) {
        guard Self.facts[Int(rawValue)] != nil else { return nil }
        self.init(rawValue)
    }

    @inlinable @inline(__always) public static var mark: Self { Self(0x28) }
    @inlinable @inline(__always) public static var stop: Self { Self(0x2e) }
    @inlinable @inline(__always) public static var pop: Self { Self(0x30) }
    @inlinable @inline(__always) public static var popMark: Self { Self(0x31) }
    @inlinable @inline(__always) public static var dup: Self { Self(0x32) }
    @inlinable @inline(__always) public static var float: Self { Self(0x46) }
    @inlinable @inline(__always) public static var binFloat: Self { Self(0x47) }
    @inlinable @inline(__always) public static var int: Self { Self(0x49) }
    @inlinable @inline(__always) public static var binInt: Self { Self(0x4a) }
    @inlinable @inline(__always) public static var binInt1: Self { Self(0x4b) }
    @inlinable @inline(__always) public static var binInt2: Self { Self(0x4d) }
    @inlinable @inline(__always) public static var long: Self { Self(0x4c) }
    @inlinable @inline(__always) public static var long1: Self { Self(0x8a) }
    @inlinable @inline(__always) public static var long4: Self { Self(0x8b) }
    @inlinable @inline(__always) public static var none: Self { Self(0x4e) }
    @inlinable @inline(__always) public static var newTrue: Self { Self(0x88) }
    @inlinable @inline(__always) public static var newFalse: Self { Self(0x89) }
    @inlinable @inline(__always) public static var string: Self { Self(0x53) }
    @inlinable @inline(__always) public static var binString: Self { Self(0x54) }
    @inlinable @inline(__always) public static var shortBinString: Self { Self(0x55) }
    @inlinable @inline(__always) public static var unicode: Self { Self(0x56) }
    @inlinable @inline(__always) public static var binUnicode: Self { Self(0x58) }
    @inlinable @inline(__always) public static var shortBinUnicode: Self { Self(0x8c) }
    @inlinable @inline(__always) public static var binUnicode8: Self { Self(0x8d) }
    @inlinable @inline(__always) public static var binBytes: Self { Self(0x42) }
    @inlinable @inline(__always) public static var shortBinBytes: Self { Self(0x43) }
    @inlinable @inline(__always) public static var binBytes8: Self { Self(0x8e) }
    @inlinable @inline(__always) public static var byteArray8: Self { Self(0x96) }
    @inlinable @inline(__always) public static var nextBuffer: Self { Self(0x97) }
    @inlinable @inline(__always) public static var readOnlyBuffer: Self { Self(0x98) }
    @inlinable @inline(__always) public static var emptyList: Self { Self(0x5d) }
    @inlinable @inline(__always) public static var append: Self { Self(0x61) }
    @inlinable @inline(__always) public static var appends: Self { Self(0x65) }
    @inlinable @inline(__always) public static var list: Self { Self(0x6c) }
    @inlinable @inline(__always) public static var emptyTuple: Self { Self(0x29) }
    @inlinable @inline(__always) public static var tuple: Self { Self(0x74) }
    @inlinable @inline(__always) public static var tuple1: Self { Self(0x85) }
    @inlinable @inline(__always) public static var tuple2: Self { Self(0x86) }
    @inlinable @inline(__always) public static var tuple3: Self { Self(0x87) }
    @inlinable @inline(__always) public static var emptyDict: Self { Self(0x7d) }
    @inlinable @inline(__always) public static var dict: Self { Self(0x64) }
    @inlinable @inline(__always) public static var setItem: Self { Self(0x73) }
    @inlinable @inline(__always) public static var setItems: Self { Self(0x75) }
    @inlinable @inline(__always) public static var emptySet: Self { Self(0x8f) }
    @inlinable @inline(__always) public static var addItems: Self { Self(0x90) }
    @inlinable @inline(__always) public static var frozenSet: Self { Self(0x91) }
    @inlinable @inline(__always) public static var put: Self { Self(0x70) }
    @inlinable @inline(__always) public static var binPut: Self { Self(0x71) }
    @inlinable @inline(__always) public static var longBinPut: Self { Self(0x72) }
    @inlinable @inline(__always) public static var memoize: Self { Self(0x94) }
    @inlinable @inline(__always) public static var get: Self { Self(0x67) }
    @inlinable @inline(__always) public static var binGet: Self { Self(0x68) }
    @inlinable @inline(__always) public static var longBinGet: Self { Self(0x6a) }
    @inlinable @inline(__always) public static var global: Self { Self(0x63) }
    @inlinable @inline(__always) public static var stackGlobal: Self { Self(0x93) }
    @inlinable @inline(__always) public static var reduce: Self { Self(0x52) }
    @inlinable @inline(__always) public static var newObj: Self { Self(0x81) }
    @inlinable @inline(__always) public static var newObjEx: Self { Self(0x92) }
    @inlinable @inline(__always) public static var inst: Self { Self(0x69) }
    @inlinable @inline(__always) public static var obj: Self { Self(0x6f) }
    @inlinable @inline(__always) public static var build: Self { Self(0x62) }
    @inlinable @inline(__always) public static var persID: Self { Self(0x50) }
    @inlinable @inline(__always) public static var binPersID: Self { Self(0x51) }
    @inlinable @inline(__always) public static var ext1: Self { Self(0x82) }
    @inlinable @inline(__always) public static var ext2: Self { Self(0x83) }
    @inlinable @inline(__always) public static var ext4: Self { Self(0x84) }
    @inlinable @inline(__always) public static var proto: Self { Self(0x80) }
    @inlinable @inline(__always) public static var frame: Self { Self(0x95) }
}

/// Lets opcodes be the cases of a switch over bytes.
///
/// Always inlined: in a switch with as many cases as the machine's, the compiler would otherwise stop inlining and make
/// comparisons in place of a jump table (half more instructions for a message).
@inlinable @inline(__always) package func ~= (opcode: PickleOpcode, byte: UInt8) -> Bool { opcode.rawValue == byte }

extension PickleOpcode: CaseIterable, CustomStringConvertible {
    /// All opcodes, by byte.
    public static var allCases: [PickleOpcode] { (0...UInt8.max).compactMap(PickleOpcode.init(rawValue:)) }

    /// Python's name of the opcode, e.g. `STACK_GLOBAL`, as `pickletools.dis` prints it.
    public var description: String { Self.facts[Int(rawValue)]?.name ?? "" }

    /// The protocol (0 to 5) that introduced the opcode.
    public var minimumProtocol: Int { Self.facts[Int(rawValue)]?.minimumProtocol ?? 0 }

    /// How many values the stack gains or loses by it, not counting the values above a MARK that it takes.
    var stackEffect: Int { Self.facts[Int(rawValue)]?.stackEffect ?? 0 }

    private struct Facts: Sendable {
        let name: String
        let minimumProtocol: Int
        let stackEffect: Int
    }

    /// The table as an array indexed by byte.
    private static let facts: [Facts?] = {
        var facts = [Facts?](repeating: nil, count: 256)
        for (opcode, name, minimumProtocol, stackEffect) in table {
            facts[Int(opcode.rawValue)] = Facts(
                name: name, minimumProtocol: minimumProtocol, stackEffect: stackEffect)
        }
        return facts
    }()

    /// Opcode, Python's name, the protocol that introduced it, its effect on the stack.
    private static let table: [(PickleOpcode, String, Int, Int)] = [
        (.mark, "MARK", 0, 0),
        (.stop, "STOP", 0, -1),
        (.pop, "POP", 0, -1),
        (.popMark, "POP_MARK", 1, 0),
        (.dup, "DUP", 0, 1),
        (.float, "FLOAT", 0, 1),
        (.binFloat, "BINFLOAT", 1, 1),
        (.int, "INT", 0, 1),
        (.binInt, "BININT", 1, 1),
        (.binInt1, "BININT1", 1, 1),
        (.binInt2, "BININT2", 1, 1),
        (.long, "LONG", 0, 1),
        (.long1, "LONG1", 2, 1),
        (.long4, "LONG4", 2, 1),
        (.none, "NONE", 0, 1),
        (.newTrue, "NEWTRUE", 2, 1),
        (.newFalse, "NEWFALSE", 2, 1),
        (.string, "STRING", 0, 1),
        (.binString, "BINSTRING", 1, 1),
        (.shortBinString, "SHORT_BINSTRING", 1, 1),
        (.unicode, "UNICODE", 0, 1),
        (.binUnicode, "BINUNICODE", 1, 1),
        (.shortBinUnicode, "SHORT_BINUNICODE", 4, 1),
        (.binUnicode8, "BINUNICODE8", 4, 1),
        (.binBytes, "BINBYTES", 3, 1),
        (.shortBinBytes, "SHORT_BINBYTES", 3, 1),
        (.binBytes8, "BINBYTES8", 4, 1),
        (.byteArray8, "BYTEARRAY8", 5, 1),
        (.nextBuffer, "NEXT_BUFFER", 5, 1),
        (.readOnlyBuffer, "READONLY_BUFFER", 5, 0),
        (.emptyList, "EMPTY_LIST", 1, 1),
        (.append, "APPEND", 0, -1),
        (.appends, "APPENDS", 1, 0),
        (.list, "LIST", 0, 1),
        (.emptyTuple, "EMPTY_TUPLE", 1, 1),
        (.tuple, "TUPLE", 0, 1),
        (.tuple1, "TUPLE1", 2, 0),
        (.tuple2, "TUPLE2", 2, -1),
        (.tuple3, "TUPLE3", 2, -2),
        (.emptyDict, "EMPTY_DICT", 1, 1),
        (.dict, "DICT", 0, 1),
        (.setItem, "SETITEM", 0, -2),
        (.setItems, "SETITEMS", 1, 0),
        (.emptySet, "EMPTY_SET", 4, 1),
        (.addItems, "ADDITEMS", 4, 0),
        (.frozenSet, "FROZENSET", 4, 1),
        (.put, "PUT", 0, 0),
        (.binPut, "BINPUT", 1, 0),
        (.longBinPut, "LONG_BINPUT", 1, 0),
        (.memoize, "MEMOIZE", 4, 0),
        (.get, "GET", 0, 1),
        (.binGet, "BINGET", 1, 1),
        (.longBinGet, "LONG_BINGET", 1, 1),
        (.global, "GLOBAL", 0, 1),
        (.stackGlobal, "STACK_GLOBAL", 4, -1),
        (.reduce, "REDUCE", 0, -1),
        (.newObj, "NEWOBJ", 2, -1),
        (.newObjEx, "NEWOBJ_EX", 4, -2),
        (.inst, "INST", 0, 1),
        (.obj, "OBJ", 1, 1),
        (.build, "BUILD", 0, -1),
        (.persID, "PERSID", 0, 1),
        (.binPersID, "BINPERSID", 1, 0),
        (.ext1, "EXT1", 2, 1),
        (.ext2, "EXT2", 2, 1),
        (.ext4, "EXT4", 2, 1),
        (.proto, "PROTO", 2, 0),
        (.frame, "FRAME", 4, 0),
    ]
}
