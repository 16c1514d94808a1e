// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the main manifest never learns about it. What is measured has `package` or internal
// access: the sources are linked in as targets, the bridge built for testing.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "bridge-benchmarks",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .target(name: "Bytes", swiftSettings: strict),
        .target(name: "JSONCodec", dependencies: ["Bytes"], swiftSettings: strict),
        .target(name: "PickleCodec", dependencies: ["Bytes"], swiftSettings: strict),
        .target(name: "EmitFastLane", dependencies: ["Bytes", "PickleCodec", "JSONCodec"], swiftSettings: strict),
        .target(
            name: "PubSubMessages", dependencies: ["Bytes", "PickleCodec", "JSONCodec", "EmitFastLane"],
            swiftSettings: strict),
        .target(name: "SocketIOProtocol", dependencies: ["Bytes", "JSONCodec"], swiftSettings: strict),
        // What stands between the bridge and a broker; the connection to Redis and its TLS would be minutes of building.
        .target(name: "RedisPubSub", dependencies: [nio, nioPosix], swiftSettings: strict),
        .systemLibrary(name: "CEpoll"),
        .target(
            name: "Bridge",
            dependencies: [
                "Bytes", "CEpoll", "JSONCodec", "SocketIOProtocol", "PubSubMessages", "RedisPubSub", nio, nioPosix,
                logging,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict + [.unsafeFlags(["-enable-testing"])]),
        .target(name: "CAllocationCounter"),
        .executableTarget(
            name: "bridge-bench",
            dependencies: [
                "Bridge", "Bytes", "CAllocationCounter", "JSONCodec", "PickleCodec", "PubSubMessages", "RedisPubSub",
                "SocketIOProtocol", nio, nioPosix, logging,
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
