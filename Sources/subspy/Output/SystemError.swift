import Glibc

/// Errors of system calls in the system's words.
enum SystemError {
    static func text(of number: CInt) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }

    /// Why the last call failed.
    static var last: String { text(of: errno) }
}
