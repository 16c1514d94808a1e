import Bridge
import Testing

@testable import ws_emit

@Suite struct SettingsTests {
    private static func settings(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Settings {
        let command = try WSEmitCommand.parse(["--redis", "none", "--secret", "s"] + arguments)
        return try Settings(command, environment: Environment { environment[$0] })
    }

    private static func error(_ arguments: [String], environment: [String: String] = [:]) -> String {
        do {
            _ = try settings(arguments, environment: environment)
            return ""
        } catch let error as SettingsError {
            return error.description
        } catch {
            return WSEmitCommand.message(for: error)
        }
    }

    private static let counts: [(String, PartialKeyPath<BridgeConfiguration> & Sendable)] = [
        ("--max-payload", \.maxPayload), ("--max-emit-body", \.maxEmitBodyBytes), ("--max-queue", \.maxQueuedBytes),
        ("--max-rooms", \.maxRoomsPerSocket), ("--max-namespaces", \.maxNamespacesPerSession),
        ("--max-pending-acks", \.maxPendingAcks), ("--max-message", \.maxMessageBytes),
        ("--max-redis-queue", \.maxRedisQueueBytes), ("--max-secret", \.maxSecretBytes),
        ("--max-gaps", \.maxGaps), ("--max-senders", \.maxSenders), ("--keep-bytes", \.keepBytes),
        ("--keep-room-bytes", \.keepRoomBytes), ("--keep-room-values", \.keepRoomValues),
        ("--recovery-bytes", \.recoveryBytes), ("--recovery-room-bytes", \.recoveryRoomBytes),
    ]

    private static let times: [(String, PartialKeyPath<BridgeConfiguration> & Sendable)] = [
        ("--ping-interval", \.timing.pingInterval), ("--ping-timeout", \.timing.pingTimeout),
        ("--connect-timeout", \.timing.connectTimeout), ("--upgrade-timeout", \.timing.upgradeTimeout),
        ("--head-timeout", \.headTimeout), ("--body-timeout", \.bodyTimeout), ("--idle-timeout", \.idleTimeout),
        ("--stall-timeout", \.stallTimeout), ("--canary-interval", \.canaryInterval), ("--canary-limit", \.canaryLimit),
        ("--keep-age", \.keepAge), ("--recovery", \.recovery),
    ]

    @Test func `each option with a number changes its setting and no other`() throws {
        let defaults = try Self.settings([]).bridge
        let all = Self.counts + Self.times
        for (option, path) in all {
            // Above the default of --canary-interval, below that of --canary-limit.
            let changed = try Self.settings([option, "11"]).bridge
            let different = all.filter { "\(changed[keyPath: $0.1])" != "\(defaults[keyPath: $0.1])" }.map(\.0)
            #expect(different == [option])
            let value = changed[keyPath: path]
            #expect(value as? Int == 11 || value as? Duration == .seconds(11), "\(option)")
        }
        #expect(try Self.settings(["--max-unfinished", "3000000"]).bridge.maxUnfinishedBytes == 3_000_000)
        #expect(try Self.settings(["--canary-interval", "none"]).bridge.canaryInterval == nil)
        #expect(try Self.settings(["--recovery", "none"]).bridge.recovery == nil)
        #expect(try Self.settings(["--keep-bytes", "0"]).bridge.keepBytes == 0)
        #expect(try Self.settings(["--keep-age", "2592000"]).bridge.keepAge == .seconds(30 * 86_400))
        #expect(try Self.settings(["--threads", "3"]).threads == 3)
        // Its default depends on the descriptors that are free at the time.
        #expect(try Self.settings(["--max-connections", "7"]).bridge.maxConnections == 7)
    }

    @Test(arguments: [
        (["--ping-interval", "-1"], "not a number of seconds from 0.05 to 86400"),
        (["--max-payload", "0"], "not a whole number from 1 to 1073741824"),
        (["--max-unfinished", "1000"], "write at least 2000000"),
        (["--canary-limit", "5"], "longer than --canary-interval"),
        (["--keep-bytes", "-1"], "not a whole number from 0 to"), (["--recovery", "0"], "from 0.05 to 86400"),
        (["--keep-age", "0"], "from 0.05 to 31622400"), (["--keep-room-values", "0"], "from 1 to 1000000"),
        (["--keep", "shop:* keep=soon"], "keep=soon is no time"), (["--keep", ""], "there is no rule"),
        (["--keep", "#news"], "a name that begins with # needs double quotes"),
        (["--rules", "/nowhere/rules.conf"], "/nowhere/rules.conf can't be read: No such file"),
        (["--rules", "/"], "can't be read: Is a directory"),
        (["--dialect", "6"], "'auto', '5.14' or '5.15.1'"),
        (["--path", "/emit"], "is the path of another endpoint"), (["--path", "metrics"], "must begin with /"),
        (["--room-secret", "=secret"], "written space=secret"), (["--room-secret", "space="], "written space=secret"),
        (["--room-secret", "a=1", "--room-secret", "a=2"], "gives room-space a two secrets"),
    ])
    func `a wrong value is explained`(arguments: [String], explanation: String) {
        let error = Self.error(arguments)
        #expect(error.contains(explanation) && error.contains(arguments[0]), "\(error)")
    }

    @Test func `an error names the variable that the value came from`() {
        #expect(Self.error([], environment: ["ADMIN_ADDRESS": "8"]).hasPrefix("ADMIN_ADDRESS 8 is no address"))
        #expect(Self.error(["--admin-address", "9"]).hasPrefix("--admin-address 9 is no address"))
        #expect(Self.error([], environment: ["CORS": "good.example"]).hasPrefix("CORS: the origin good.example"))
    }

    @Test func `an origin that no page has draws one warning`() throws {
        let settings = try Self.settings(
            [], environment: ["CORS": "http://a.example/x HTTP://b.example http://c.example"])
        #expect(settings.warnings.count == 2)
        #expect(
            settings.warnings[0].contains("http://a.example/x") && settings.warnings[1].contains("HTTP://b.example"))
    }

    @Test func `options go before variables, and an empty variable counts as unset`() throws {
        let environment = [
            "ADDRESS": "127.0.0.1:1", "CORS": "http://a.example", "SECRET": "other", "ADMIN_ADDRESS": "",
        ]
        let settings = try Self.settings(["--address", "[::1]:2"], environment: environment)
        #expect(settings.host == "::1" && settings.port == 2 && settings.admin == nil)
        #expect(settings.bridge.origins == ["http://a.example"] && settings.bridge.emitSecret == "s")
    }
}
