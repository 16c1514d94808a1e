import Foundation
import Glibc
import Synchronization

/// A real redis-server for one test, on a free port and a unix socket, ended by its process id.
final class RedisServer: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static let program = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    static let isInstalled = program != nil

    let port: Int
    let folder: String
    private let options: [String]
    private let process = Mutex<Process?>(nil)

    var socket: String { folder + "/redis.sock" }

    /// Chooses a port and a folder; nothing runs yet.
    init(options: [String] = []) throws {
        port = try Self.freePort()
        folder = NSTemporaryDirectory() + "redis-test-\(UUID().uuidString.prefix(8))"
        self.options = options
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit {
        send(SIGKILL)
        process.withLock { $0?.waitUntilExit() }
        try? FileManager.default.removeItem(atPath: folder)
    }

    static func started(options: [String] = []) async throws -> RedisServer {
        let server = try RedisServer(options: options)
        try await server.start()
        return server
    }

    /// Starts the server and returns when it accepts connections.
    func start() async throws {
        guard let program = Self.program else { throw Failure(description: "redis-server is not installed") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            ["--port", "\(port)", "--bind", "127.0.0.1", "--unixsocket", socket, "--save", "", "--dir", folder]
            + options
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        self.process.withLock { $0 = process }
        var log = ""
        while !log.contains("Ready to accept connections") {
            let chunk = output.fileHandleForReading.availableData
            guard !chunk.isEmpty else { throw Failure(description: "redis-server ended: \(log)") }
            log += String(decoding: chunk, as: UTF8.self)
        }
        // The pipe is read on, lest the server block on it.
        output.fileHandleForReading.readabilityHandler = { if $0.availableData.isEmpty { $0.readabilityHandler = nil } }
    }

    func send(_ signal: Int32) {
        process.withLock { process in
            if let process, process.isRunning { kill(process.processIdentifier, signal) }
        }
    }

    /// Kills the server and returns when it is gone.
    func kill9() {
        send(SIGKILL)
        process.withLock { process in
            process?.waitUntilExit()
            process = nil
        }
    }

    /// Runs one command by redis-cli and waits for its end.
    @discardableResult func command(_ arguments: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["redis-cli", "--no-auth-warning", "-p", "\(port)"] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "redis-cli: \(text)") }
        return text
    }

    private static func freePort() throws -> Int {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) | getsockname(descriptor, address, &length)
            }
        }
        guard status == 0 else { throw Failure(description: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
