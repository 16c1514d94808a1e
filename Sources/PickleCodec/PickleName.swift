/// The name of a class or function in a pickle. It is never looked up.
public struct PickleName: Hashable, Sendable, CustomStringConvertible {
    /// The module as written, e.g. `collections`; Python 2's names are not translated.
    public var module: String
    /// The name in the module, dotted for nested classes.
    public var name: String

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

    public func hash(into hasher: inout Hasher) {
        for byte in module.utf8 { hasher.combine(byte) }
        for byte in name.utf8 { hasher.combine(byte) }
    }
}
