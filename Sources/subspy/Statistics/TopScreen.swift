@preconcurrency @unsafe import Dispatch
import Glibc
import NIOCore
import Synchronization

/// The terminal while `subspy top` has it: another screen, no cursor, keys that arrive at once.
///
/// It is restored at every end (`q`, a signal, an error) and while the program is stopped by Ctrl-Z.
final class TopScreen {
    private let run: RunLoop
    private var sources: [any DispatchSourceProtocol] = []
    /// True while the terminal is ours. After Ctrl-Z and `fg` a frame may be due before we have taken it back.
    private var isOpen = false
    /// One key that was pressed.
    var pressed: (Character) -> Void = { _ in }
    /// Called when the window has another size or has to be painted again.
    var resized: () -> Void = {}

    init(_ run: RunLoop) { self.run = run }

    func open() {
        enter()
        run.closeAtEnd { [self] in
            close()
            return run.eventLoop.makeSucceededVoidFuture()
        }
        let bound = NIOLoopBound(self, eventLoop: run.eventLoop)
        watch(SIGWINCH) { bound.value.resized() }
        watch(SIGTSTP) { bound.value.suspend() }
        watch(SIGCONT) { bound.value.resume() }
        for number in [SIGHUP, SIGQUIT] { watch(number) { bound.value.run.end(128 + number) } }
        guard isatty(STDIN_FILENO) == 1 else { return }
        let keys = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: .global())
        let loop = run.eventLoop
        keys.setEventHandler {
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(STDIN_FILENO, $0.baseAddress, $0.count)
            }
            // The terminal is gone.
            guard count > 0 else { return loop.execute { bound.value.run.end(128 + SIGHUP) } }
            let pressed = Self.letters(bytes[..<count])
            loop.execute { for key in pressed { bound.value.pressed(key) } }
        }
        keys.resume()
        sources.append(keys)
    }

    /// The letters among the keys: arrows and the like are sequences that begin with ESC and mean nothing here.
    private static func letters(_ keys: ArraySlice<UInt8>) -> [Character] {
        var letters: [Character] = []
        var rest = keys
        while let key = rest.popFirst() {
            guard key == 0x1B else {
                letters.append(Character(Unicode.Scalar(key)))
                continue
            }
            // ESC [ ... and ESC O end with a byte from @ on.
            guard rest.first == UInt8(ascii: "[") || rest.first == UInt8(ascii: "O") else { continue }
            rest.removeFirst()
            rest = rest.drop { $0 < 0x40 }.dropFirst()
        }
        return letters
    }

    /// Replaces the screen's lines, as many as there is room for. A terminal that is too slow misses a frame.
    func show(_ text: UnsafeRawBufferPointer) {
        guard isOpen else { return }
        var entry = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLOUT) != 0 else { return }
        var frame: [UInt8] = Array("\u{1B}[H".utf8)
        let rows = Terminal.size?.rows ?? 24
        var lines = unsafe text.split(separator: 0x0A, omittingEmptySubsequences: false).prefix(rows)
        while let line = unsafe lines.popFirst() {
            if frame.count > 3 { frame += Array("\r\n".utf8) }
            unsafe frame += line
            frame += Array("\u{1B}[K".utf8)
        }
        frame += Array("\u{1B}[J".utf8)
        TerminalMode.write(frame)
    }

    private func enter() {
        isOpen = true
        TerminalMode.enter()
    }

    private func leave() {
        isOpen = false
        TerminalMode.leave()
    }

    private func close() {
        for source in sources { source.cancel() }
        leave()
    }

    private func suspend() {
        leave()
        // Ctrl-Z would have done this.
        kill(getpid(), SIGSTOP)
    }

    private func resume() {
        guard run.exitCode == nil else { return }
        enter()
        resized()
    }

    private func watch(_ number: CInt, _ body: @escaping @Sendable () -> Void) {
        // By default WINCH and CONT do nothing; the other signals would end or stop the program.
        signal(number, number == SIGWINCH || number == SIGCONT ? SIG_DFL : SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        let loop = run.eventLoop
        source.setEventHandler { loop.execute(body) }
        source.resume()
        sources.append(source)
    }
}

/// The mode of the process's terminal. It is global so that every end can restore it, on any thread.
enum TerminalMode {
    private static let saved = Mutex<termios?>(nil)
    private static let isEntered = Mutex(false)

    static func enter() {
        isEntered.withLock { isEntered in
            guard !isEntered else { return }
            isEntered = true
            var mode = termios()
            if unsafe tcgetattr(STDIN_FILENO, &mode) == 0 {
                saved.withLock { $0 = mode }
                // Keys at once and not shown; Ctrl-C stays a signal.
                mode.c_lflag &= ~tcflag_t(ICANON | ECHO)
                unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &mode)
            }
            // The other screen, and no cursor.
            write(Array("\u{1B}[?1049h\u{1B}[?25l".utf8))
        }
    }

    /// Restores the terminal; does nothing where it has not been taken.
    static func leave() {
        isEntered.withLock { isEntered in
            guard isEntered else { return }
            isEntered = false
            write(Array("\u{1B}[?25h\u{1B}[?1049l".utf8))
            saved.withLock { mode in
                if var mode { unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) }
            }
        }
    }

    static func write(_ bytes: [UInt8]) {
        _ = unsafe bytes.withUnsafeBytes { unsafe FileIO.write($0, to: STDOUT_FILENO, waits: false) }
    }
}
