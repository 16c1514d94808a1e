import ArgumentParser
@preconcurrency @unsafe import Dispatch
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// The program's one thread as an event loop, until `end` is called.
///
/// Everything else runs on this loop, without locks.
final class RunLoop {
    let eventLoop: any EventLoop
    /// Called on SIGINT and SIGTERM; a second signal ends the process at once.
    var interrupted: () -> Void = {}
    private var atEnd: [() -> EventLoopFuture<Void>] = []
    private(set) var exitCode: Int32?

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs `body` and the loop until `end`.
    ///
    /// - Throws: the exit code given to `end`, unless that is 0.
    static func untilEnd(_ body: @escaping (RunLoop) -> Void) throws(ExitCode) {
        // Writing to a closed pipe then fails instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        var code: Int32 = 70
        MultiThreadedEventLoopGroup.withCurrentThreadAsEventLoop { loop in
            let run = RunLoop(loop)
            run.interrupted = { [weak run] in run?.end(0) }
            let signals = watchSignals(NIOLoopBound(run, eventLoop: loop))
            run.atEnd.append { [weak run] in
                for source in signals { source.cancel() }
                code = run?.exitCode ?? code
                return loop.makeSucceededVoidFuture()
            }
            body(run)
        }
        if code != 0 { throw ExitCode(code) }
    }

    /// Adds something to be closed before the loop ends.
    func closeAtEnd(_ body: @escaping () -> EventLoopFuture<Void>) {
        atEnd.append(body)
    }

    /// Ends the run; the first call decides.
    func end(_ code: Int32) {
        guard exitCode == nil else { return }
        exitCode = code
        let loop = eventLoop
        EventLoopFuture.andAllComplete(atEnd.reversed().map { $0() }, on: loop).whenComplete { _ in
            loop.shutdownGracefully { _ in }
        }
    }

    /// Calls `body` after a delay unless the run is over by then.
    @discardableResult
    func after(_ delay: Duration, _ body: @escaping () -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            if self?.exitCode == nil { body() }
        }
    }

    private static let signalCount = Atomic(0)

    /// Brings SIGINT and SIGTERM to the loop.
    private static func watchSignals(_ run: NIOLoopBound<RunLoop>) -> [any DispatchSourceSignal] {
        let registered = DispatchSemaphore(value: 0)
        return [SIGINT, SIGTERM].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                // The loop may be blocked in a write to a pipe that nobody reads.
                if signalCount.add(1, ordering: .relaxed).newValue > 1 {
                    TerminalMode.leave()
                    _exit(128 + number)
                }
                run.eventLoop.execute { run.value.interrupted() }
            }
            // Dispatch sets a handler of its own some time after `resume`; a signal before that has its default effect.
            source.setRegistrationHandler { registered.signal() }
            source.resume()
            registered.wait()
            return source
        }
    }
}
