@preconcurrency import Dispatch
import Glibc

/// SIGTERM and SIGINT, which end the service, and those that others send to be heard without ending it, as a stream; their
/// default action is off from its creation on.
///
/// Left as they are: SIGQUIT and the signals of faults, which leave a core to look at, and SIGALRM, by which a parent sets a
/// time limit before it executes the program.
///
/// The handler writes to a pipe, and Dispatch reads that: nothing is lost however early it comes. Dispatch's own source of
/// signals looks at them only some time after `resume()`, and one that comes before is gone, since it must be ignored by then.
struct ServiceSignals {
    static let ending = [SIGTERM, SIGINT]
    /// Log rotation, a closed terminal and other daemons' reload send these; to systemd, their default is a clean end.
    static let ignored = [SIGHUP: "SIGHUP", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2"]

    let stream: AsyncStream<CInt>
    private let source: any DispatchSourceRead

    /// To be made once.
    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: CInt.self)
        self.stream = stream
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else {
            complain("no pipe can be made: \(String(cString: strerror(errno)))")
            exit(71)
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let reading = ends[0]
        signalPipe = ends[1]
        source = DispatchSource.makeReadSource(fileDescriptor: reading, queue: .global())
        source.setEventHandler {
            var number: UInt8 = 0
            while read(reading, &number, 1) == 1 { continuation.yield(CInt(number)) }
        }
        source.resume()
        // Whoever reads the log may go away, or its file reach a limit: neither is worth the clients' connections.
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
        for number in Self.ending + Self.ignored.keys {
            signal(number) { number in
                // All that may be called here must be safe in a handler (signal-safety(7)).
                let error = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(signalPipe, &byte, 1)
                errno = error
            }
        }
    }
}

/// Where the handler writes, which can capture nothing. Unsafe in name only: written once, by `init` before it sets the
/// handler, and never by anything that comes from outside.
nonisolated(unsafe) private var signalPipe: CInt = -1
