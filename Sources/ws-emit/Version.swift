/// The version of the programs of this package.
enum Version {
    static let current = "0.1.0"
}
