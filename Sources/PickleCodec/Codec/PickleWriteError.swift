/// Why a value could not be written as a pickle.
public enum PickleWriteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A protocol other than 0 to 5.
    case unsupportedProtocol(Int)
    /// A list, dict, set or bytearray as dict key or set element, or in a tuple that is one.
    case unhashable
    /// A name with a line feed or a lone surrogate, which protocols below 4 cannot write.
    case unwritableName
    /// A persistent id that is not ASCII text, which protocol 0 cannot write.
    case unwritablePersistentID
    /// A container that contains itself only through immutable values, or through a set below protocol 4.
    case unwritableCycle
    /// Objects filled by ADDITEMS need protocol 4.
    case needsProtocol4
    /// An integer of more than 2 147 483 647 bytes, or a Python 2 str of that length.
    case tooLong

    /// The error as one line.
    public var description: String {
        switch self {
        case .unsupportedProtocol(let version): "pickle: protocol \(version) does not exist (0 to 5 do)"
        case .unhashable: "pickle: a list, dict, set or bytearray cannot be a key or in a set"
        case .unwritableName: "pickle: a name cannot be written below protocol 4"
        case .unwritablePersistentID: "pickle: protocol 0 writes only ASCII text as persistent id"
        case .unwritableCycle: "pickle: a container contains itself in a way no pickle can say"
        case .needsProtocol4: "pickle: items added to a set-like object need protocol 4"
        case .tooLong: "pickle: a value is too long"
        }
    }
}
