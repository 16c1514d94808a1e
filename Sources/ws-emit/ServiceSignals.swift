@preconcurrency @unsafe import Dispatch
import Glibc

/// A stream of SIGTERM and SIGINT, which end the service, and of signals that must not end it. Creating it disables their
/// default action.
///
/// SIGQUIT and the signals of faults keep their default, because they leave a core dump. So does SIGALRM, with which a
/// parent sets a time limit before it executes the program.
///
/// The handler writes to a pipe that Dispatch reads, so even an early signal is kept. Dispatch's own signal source starts to
/// look some time after `resume()`, and loses earlier signals, which must be ignored by then.
struct ServiceSignals {
    static let ending = [SIGTERM, SIGINT]
    /// Log rotation, a closed terminal and a daemon reload send these. Their default action is a clean end to systemd.
    static let ignored = [SIGHUP: "SIGHUP", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2"]

    let stream: AsyncStream<CInt>
    private let source: any DispatchSourceRead

    /// Create it only once.
    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: CInt.self)
        self.stream = stream
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            printError(unsafe "no pipe can be made: \(String(cString: strerror(errno)))")
            exit(71)
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let reading = ends[0]
        unsafe signalPipe = ends[1]
        source = DispatchSource.makeReadSource(fileDescriptor: reading, queue: .global())
        source.setEventHandler {
            var number: UInt8 = 0
            while unsafe read(reading, &number, 1) == 1 { continuation.yield(CInt(number)) }
        }
        source.resume()
        // A log reader that goes away, or a full log file, must not end the clients' connections.
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
        for number in Self.ending + Self.ignored.keys {
            signal(number) { number in
                // Only functions that are safe in a handler may be called here (signal-safety(7)).
                let error = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = unsafe write(signalPipe, &byte, 1)
                errno = error
            }
        }
    }
}

/// The pipe for the handler, which can't capture anything. `init` writes it once, before it sets the handler.
nonisolated(unsafe) private var signalPipe: CInt = -1
