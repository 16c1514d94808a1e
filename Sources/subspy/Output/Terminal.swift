import Glibc

/// The terminal that standard output is.
enum Terminal {
    /// Rows and columns; nil when standard output is no terminal or doesn't know.
    static var size: (rows: Int, columns: Int)? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// True when standard output is a terminal with colours and cursor movement.
    static var isCapable: Bool {
        isatty(STDOUT_FILENO) == 1 && getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? false
    }

    /// Columns to write into: the terminal's, or what `COLUMNS` says; nil for a pipe without it.
    static var columns: Int? {
        size?.columns ?? getenv("COLUMNS").flatMap { Int(String(cString: $0)) }.flatMap { $0 > 0 ? $0 : nil }
    }
}
