/// One value of a `PickleGraph` or of a document on the hot path: an index, valid only there.
public struct PickleNode: Hashable, Sendable, BitwiseCopyable {
    package let index: UInt32

    package init(index: UInt32) {
        self.index = index
    }
}

/// The kind of a value in a pickle.
public enum PickleKind: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// None.
    case none
    /// bool.
    case bool
    /// int (Python 2: int or long), of any size.
    case int
    /// float: an IEEE double.
    case float
    /// str (Python 2: unicode), in which lone surrogates may stand.
    case str
    /// A Python 2 str: bytes that may be text.
    case byteString
    /// bytes.
    case bytes
    /// bytearray: mutable, so it has identity.
    case bytearray
    /// tuple.
    case tuple
    /// list.
    case list
    /// dict, in insertion order.
    case dict
    /// set.
    case set
    /// frozenset.
    case frozenset
    /// A name: class or function, never resolved.
    case global
    /// An object: the call that would make it and what it would be given, never carried out.
    case object
    /// A persistent id: a reference to something outside of the pickle.
    case persistentID
}

/// How a pickle makes an object.
public enum PickleConstructor: UInt32, Sendable, Hashable {
    /// `callable(*arguments)`, by REDUCE.
    case reduce
    /// `class.__new__(class, *arguments)`, by NEWOBJ.
    case newObj
    /// The same with keyword arguments, by NEWOBJ_EX.
    case newObjEx
    /// An instance of a Python 2 classic class, by INST.
    case inst
    /// The same, by OBJ.
    case obj
}
