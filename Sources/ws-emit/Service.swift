import ArgumentParser
import Bridge
@preconcurrency import Dispatch
import Glibc
import Logging
import NIOCore
import NIOPosix
import RedisPubSub

/// The running program: starts, waits for a signal, stops.
struct Service {
    let settings: Settings

    func run() async throws {
        let logger = makeLogger()
        let signals = TerminationSignals()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads ?? AvailableCores.count)
        let broker = settings.broker
        let channels = settings.bridge.redisChannels
        let server = try await BridgeServer.make(
            configuration: settings.bridge, group: group, logger: logger,
            makeBroker: { loop in
                switch broker {
                case .redis(let url): RedisBroker(url: url, channels: channels, eventLoop: loop, logger: logger)
                case .none(let secrets): LocalBroker(eventLoop: loop, values: secrets)
                }
            })
        let listener: any Channel
        do {
            listener = try await server.listen(host: settings.host, port: settings.port)
        } catch {
            let cause = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            complain("can't listen on \(settings.host):\(settings.port): \(cause); choose another one with --address")
            throw ExitCode(1)
        }
        announce(listener, logger)
        for await _ in signals.stream { break }
        logger.info("stopping")
        await server.shutdown(listener: listener)
        try await group.shutdownGracefully()
    }

    private func announce(_ listener: any Channel, _ logger: Logger) {
        let address = listener.localAddress.map { Self.text(of: $0) } ?? "\(settings.host):\(settings.port)"
        logger.info("ws-emit started on \(address) cors: \(settings.bridge.origins)")
        if settings.bridge.emitSecret?.isEmpty == false { logger.info("Enable HTTP emitting with secret") }
        for warning in settings.warnings { logger.warning("\(warning)") }
    }

    private static func text(of address: SocketAddress) -> String {
        let host = address.ipAddress ?? "?"
        return (host.contains(":") ? "[\(host)]" : host) + ":\(address.port ?? 0)"
    }

    private func makeLogger() -> Logger {
        var logger = Logger(label: "ws-emit") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.isVerbose ? .debug : .info
        return logger
    }
}

/// SIGTERM and SIGINT as a stream; their default action is off from its creation on.
private struct TerminationSignals {
    let stream: AsyncStream<CInt>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: CInt.self)
        self.stream = stream
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }
}
