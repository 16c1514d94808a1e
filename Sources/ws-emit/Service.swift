import ArgumentParser
import Bridge
import Glibc
import Logging
import NIOCore
import NIOPosix
import RedisPubSub

/// The running program: it starts, waits for a signal, and stops.
struct Service {
    let settings: Settings

    func run() async throws {
        let logger = makeLogger()
        let signals = ServiceSignals()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads)
        let broker = settings.broker
        let channels = settings.bridge.redisChannels
        var redis = RedisConfiguration()
        redis.maximumPendingBytes = settings.bridge.maxRedisQueueBytes
        let server = try await BridgeServer.make(
            configuration: settings.bridge, group: group, logger: logger,
            makeBroker: { [redis] loop in
                switch broker {
                case .redis(let url):
                    RedisBroker(
                        url: url, channels: channels, eventLoop: loop, logger: logger, configuration: redis)
                case .none(let secrets): LocalBroker(eventLoop: loop, values: secrets)
                }
            })
        let listener = try await listening(settings.host, settings.port, "--address") {
            try await server.listen(host: $0, port: $1)
        }
        var adminGroup: MultiThreadedEventLoopGroup?
        if let admin = settings.admin {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            adminGroup = group
            let listener = try await listening(admin.host, admin.port, "--admin-address") {
                try await server.listenForOperators(host: $0, port: $1, eventLoop: group.next())
            }
            logger.info("admin listener started", metadata: ["address": "\(Self.text(of: listener.localAddress))"])
        }
        announce(listener, logger)
        ServiceManager.notify(.ready)
        for await number in signals.stream {
            guard let name = ServiceSignals.ignored[number] else { break }
            logger.notice("\(name) is ignored; settings change with a restart")
        }
        logger.info("stopping")
        ServiceManager.notify(.stopping)
        await server.shutdown(listener: listener)
        try await adminGroup?.shutdownGracefully()
        try await group.shutdownGracefully()
    }

    /// Binds, or ends the program with one sentence about the cause.
    private func listening(
        _ host: String, _ port: Int, _ option: String, _ bind: (String, Int) async throws -> any Channel
    ) async throws -> any Channel {
        do {
            return try await bind(host, port)
        } catch {
            let cause = (error as? IOError).map { unsafe String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            printError("can't listen on \(host):\(port): \(cause); choose another one with \(option)")
            throw ExitCode(1)
        }
    }

    private func announce(_ listener: any Channel, _ logger: Logger) {
        let address = Self.text(of: listener.localAddress)
        logger.info("ws-emit started on \(address) cors: \(settings.bridge.origins)")
        if settings.bridge.emitSecret?.isEmpty == false { logger.info("Enable HTTP emitting with secret") }
        let (connections, files) = (settings.bridge.maxConnections, Self.openFilesLimit)
        if connections < files {
            logger.info("at most \(connections) connections at a time", metadata: ["open_files_limit": "\(files)"])
        } else {
            logger.warning(
                "--max-connections \(connections) can't be reached: raise the limit on open files (ulimit -n, LimitNOFILE= in systemd)",
                metadata: ["open_files_limit": "\(files)"])
        }
        for warning in settings.warnings { logger.warning("\(warning)") }
    }

    /// Descriptors that the process may open, including those of connections.
    private static var openFilesLimit: Int {
        var limit = rlimit()
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    private static func text(of address: SocketAddress?) -> String {
        let host = address?.ipAddress ?? "?"
        return (host.contains(":") ? "[\(host)]" : host) + ":\(address?.port ?? 0)"
    }

    private func makeLogger() -> Logger {
        var logger = Logger(label: "ws-emit") { _ in ServiceLog() }
        logger.logLevel = settings.isVerbose ? .debug : .info
        return logger
    }
}
