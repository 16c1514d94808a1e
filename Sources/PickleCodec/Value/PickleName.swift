/// The name of a class or function in a pickle. It is never looked up.
///
/// Pickles of protocols 0 to 2 have Python 2's names of standard modules. They are kept as they are, and written as
/// Python 3 knows them at protocols 3 and up (`__builtin__` as `builtins`, `exceptions.ValueError` as
/// `builtins.ValueError`); the other way round at protocols 0 to 2, as `pickle.dumps` does. A name that was read at
/// such a protocol is written as it is.
public struct PickleName: Hashable, Sendable, CustomStringConvertible {
    /// The module as written, e.g. `collections`.
    public var module: String
    /// The name in the module, dotted for nested classes.
    public var name: String

    /// The protocol at which it was read.
    var origin = Origin.unknown

    enum Origin: UInt8 { case unknown, upToProtocol2, fromProtocol3 }

    /// A name by its two parts.
    public init(module: String, name: String) {
        self.module = module
        self.name = name
    }

    /// `module.name`.
    public var description: String { module + "." + name }

    public static func == (left: Self, right: Self) -> Bool {
        left.module.utf8.elementsEqual(right.module.utf8) && left.name.utf8.elementsEqual(right.name.utf8)
    }

    /// The name by which another Python finds it at a protocol; nil for the same.
    func translated(to version: Int) -> PickleName? {
        if version >= 3 { return origin == .fromProtocol3 ? nil : PythonNames.python3(self) }
        return origin == .upToProtocol2 ? nil : PythonNames.python2(self)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in module.utf8 { hasher.combine(byte) }
        for byte in name.utf8 { hasher.combine(byte) }
    }
}

/// The names that extension codes (EXT1, EXT2, EXT4) stand for: Python's `copyreg` registry, which is not in the pickle.
public struct PickleExtensionRegistry: Sendable, Hashable {
    /// Names by their code, 1 to 2 147 483 647.
    public var names: [Int32: PickleName]

    /// A registry, empty unless names are given.
    public init(_ names: [Int32: PickleName] = [:]) {
        self.names = names
    }
}
