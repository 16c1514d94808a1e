/// The names that extension codes (EXT1, EXT2, EXT4) stand for: Python's `copyreg` registry, which is not in the pickle.
public struct PickleExtensionRegistry: Sendable, Hashable {
    /// A module and a name in it, UTF-8.
    public struct Name: Sendable, Hashable {
        /// The module, e.g. `collections`.
        public var module: String
        /// The name in the module, dotted for nested classes.
        public var name: String

        /// A name by its two parts.
        public init(module: String, name: String) {
            self.module = module
            self.name = name
        }
    }

    /// Names by their code, 1 to 2 147 483 647.
    public var names: [Int32: Name]

    /// A registry, empty unless names are given.
    public init(_ names: [Int32: Name] = [:]) {
        self.names = names
    }
}
