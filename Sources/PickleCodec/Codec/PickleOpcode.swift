/// One instruction of the pickle machine: the 68 opcodes of protocols 0 to 5.
///
/// The raw value is the byte in the pickle. `description` is Python's own spelling
/// (`SHORT_BINUNICODE`), as `pickletools.dis` prints it.
public enum PickleOpcode: UInt8, Sendable, CaseIterable, BitwiseCopyable {
    case mark = 0x28
    case stop = 0x2e
    case pop = 0x30
    case popMark = 0x31
    case dup = 0x32
    case float = 0x46
    case binFloat = 0x47
    case int = 0x49
    case binInt = 0x4a
    case binInt1 = 0x4b
    case binInt2 = 0x4d
    case long = 0x4c
    case long1 = 0x8a
    case long4 = 0x8b
    case none = 0x4e
    case newTrue = 0x88
    case newFalse = 0x89
    case string = 0x53
    case binString = 0x54
    case shortBinString = 0x55
    case unicode = 0x56
    case binUnicode = 0x58
    case shortBinUnicode = 0x8c
    case binUnicode8 = 0x8d
    case binBytes = 0x42
    case shortBinBytes = 0x43
    case binBytes8 = 0x8e
    case byteArray8 = 0x96
    case nextBuffer = 0x97
    case readOnlyBuffer = 0x98
    case emptyList = 0x5d
    case append = 0x61
    case appends = 0x65
    case list = 0x6c
    case emptyTuple = 0x29
    case tuple = 0x74
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case emptyDict = 0x7d
    case dict = 0x64
    case setItem = 0x73
    case setItems = 0x75
    case emptySet = 0x8f
    case addItems = 0x90
    case frozenSet = 0x91
    case put = 0x70
    case binPut = 0x71
    case longBinPut = 0x72
    case memoize = 0x94
    case get = 0x67
    case binGet = 0x68
    case longBinGet = 0x6a
    case global = 0x63
    case stackGlobal = 0x93
    case reduce = 0x52
    case newObj = 0x81
    case newObjEx = 0x92
    case inst = 0x69
    case obj = 0x6f
    case build = 0x62
    case persID = 0x50
    case binPersID = 0x51
    case ext1 = 0x82
    case ext2 = 0x83
    case ext4 = 0x84
    case proto = 0x80
    case frame = 0x95
}

extension PickleOpcode: CustomStringConvertible {
    /// Python's name of the opcode, e.g. `STACK_GLOBAL`.
    public var description: String {
        switch self {
        case .mark: "MARK"
        case .stop: "STOP"
        case .pop: "POP"
        case .popMark: "POP_MARK"
        case .dup: "DUP"
        case .float: "FLOAT"
        case .binFloat: "BINFLOAT"
        case .int: "INT"
        case .binInt: "BININT"
        case .binInt1: "BININT1"
        case .binInt2: "BININT2"
        case .long: "LONG"
        case .long1: "LONG1"
        case .long4: "LONG4"
        case .none: "NONE"
        case .newTrue: "NEWTRUE"
        case .newFalse: "NEWFALSE"
        case .string: "STRING"
        case .binString: "BINSTRING"
        case .shortBinString: "SHORT_BINSTRING"
        case .unicode: "UNICODE"
        case .binUnicode: "BINUNICODE"
        case .shortBinUnicode: "SHORT_BINUNICODE"
        case .binUnicode8: "BINUNICODE8"
        case .binBytes: "BINBYTES"
        case .shortBinBytes: "SHORT_BINBYTES"
        case .binBytes8: "BINBYTES8"
        case .byteArray8: "BYTEARRAY8"
        case .nextBuffer: "NEXT_BUFFER"
        case .readOnlyBuffer: "READONLY_BUFFER"
        case .emptyList: "EMPTY_LIST"
        case .append: "APPEND"
        case .appends: "APPENDS"
        case .list: "LIST"
        case .emptyTuple: "EMPTY_TUPLE"
        case .tuple: "TUPLE"
        case .tuple1: "TUPLE1"
        case .tuple2: "TUPLE2"
        case .tuple3: "TUPLE3"
        case .emptyDict: "EMPTY_DICT"
        case .dict: "DICT"
        case .setItem: "SETITEM"
        case .setItems: "SETITEMS"
        case .emptySet: "EMPTY_SET"
        case .addItems: "ADDITEMS"
        case .frozenSet: "FROZENSET"
        case .put: "PUT"
        case .binPut: "BINPUT"
        case .longBinPut: "LONG_BINPUT"
        case .memoize: "MEMOIZE"
        case .get: "GET"
        case .binGet: "BINGET"
        case .longBinGet: "LONG_BINGET"
        case .global: "GLOBAL"
        case .stackGlobal: "STACK_GLOBAL"
        case .reduce: "REDUCE"
        case .newObj: "NEWOBJ"
        case .newObjEx: "NEWOBJ_EX"
        case .inst: "INST"
        case .obj: "OBJ"
        case .build: "BUILD"
        case .persID: "PERSID"
        case .binPersID: "BINPERSID"
        case .ext1: "EXT1"
        case .ext2: "EXT2"
        case .ext4: "EXT4"
        case .proto: "PROTO"
        case .frame: "FRAME"
        }
    }

    /// The protocol (0 to 5) that brought the opcode.
    public var minimumProtocol: Int {
        switch self {
        case .mark, .stop, .pop, .dup, .float, .int, .long, .none, .string, .unicode, .append, .list, .tuple,
            .dict, .setItem, .put, .get, .global, .reduce, .inst, .build, .persID:
            0
        case .popMark, .binFloat, .binInt, .binInt1, .binInt2, .binString, .shortBinString, .binUnicode,
            .emptyList, .appends, .emptyTuple, .emptyDict, .setItems, .binPut, .longBinPut, .binGet,
            .longBinGet, .obj, .binPersID:
            1
        case .long1, .long4, .newTrue, .newFalse, .tuple1, .tuple2, .tuple3, .newObj, .ext1, .ext2, .ext4, .proto:
            2
        case .binBytes, .shortBinBytes:
            3
        case .shortBinUnicode, .binUnicode8, .binBytes8, .emptySet, .addItems, .frozenSet, .memoize,
            .stackGlobal, .newObjEx, .frame:
            4
        case .byteArray8, .nextBuffer, .readOnlyBuffer:
            5
        }
    }
}
