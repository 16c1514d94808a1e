// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .strictMemorySafety()]
// The macros of swift-testing lose the marks of unsafe expressions.
let testSettings: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "ws-emit",
    products: [
        .library(name: "PickleCodec", targets: ["PickleCodec"]),
        .library(name: "ChannelEmitter", targets: ["ChannelEmitter"]),
        .executable(name: "ws-emit", targets: ["ws-emit"]),
        .executable(name: "subspy", targets: ["subspy"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.36.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        // What several targets share. Public for the sake of inlining, and no product.
        .target(name: "Bytes", swiftSettings: strict),
        // Leaves: bytes in, values out. No Foundation, no NIO.
        .target(name: "JSONCodec", dependencies: ["Bytes"], swiftSettings: strict),
        .target(name: "PickleCodec", dependencies: ["Bytes"], swiftSettings: strict),
        // Saves time where PubSubMessages decodes emits, and decides nothing.
        .target(name: "EmitFastLane", dependencies: ["Bytes", "PickleCodec", "JSONCodec"], swiftSettings: strict),
        // Sans-IO protocols.
        .target(name: "SocketIOProtocol", dependencies: ["Bytes"], swiftSettings: strict),
        .target(
            name: "PubSubMessages", dependencies: ["Bytes", "PickleCodec", "JSONCodec", "EmitFastLane"],
            swiftSettings: strict),
        // Input and output.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CEpoll"),
        .target(
            name: "RedisPubSub", dependencies: ["CHiredis", nio, nioPosix, nioSSL, logging], swiftSettings: strict),
        .target(
            name: "ChannelEmitter",
            dependencies: [
                "Bytes", "PickleCodec", "JSONCodec", "PubSubMessages", "RedisPubSub", nio, nioPosix, logging,
                .product(name: "OrderedCollections", package: "swift-collections"),
            ],
            swiftSettings: strict),
        .target(
            name: "Bridge",
            dependencies: [
                "Bytes", "CEpoll", "JSONCodec", "SocketIOProtocol", "PubSubMessages", "RedisPubSub", nio, nioPosix,
                logging,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        // Programs.
        .executableTarget(
            name: "ws-emit",
            dependencies: [
                "Bytes", "Bridge", "JSONCodec", "PubSubMessages", "RedisPubSub", "SocketIOProtocol", nio, nioPosix,
                logging,
                argumentParser,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "subspy",
            dependencies: [
                "Bytes", "PubSubMessages", "PickleCodec", "JSONCodec", "RedisPubSub", "CZlib", nio, nioPosix, logging,
                argumentParser, .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        // Tests, one folder per target.
        .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: testSettings),
        .testTarget(name: "JSONCodecTests", dependencies: ["JSONCodec"], swiftSettings: testSettings),
        .testTarget(name: "PickleCodecTests", dependencies: ["PickleCodec"], swiftSettings: testSettings),
        .testTarget(name: "SocketIOProtocolTests", dependencies: ["SocketIOProtocol"], swiftSettings: testSettings),
        .testTarget(
            name: "EmitFastLaneTests", dependencies: ["EmitFastLane", "PickleCodec"], swiftSettings: testSettings),
        .testTarget(name: "PubSubMessagesTests", dependencies: ["PubSubMessages"], swiftSettings: testSettings),
        .testTarget(name: "RedisPubSubTests", dependencies: ["RedisPubSub", nioEmbedded], swiftSettings: testSettings),
        .testTarget(
            name: "ChannelEmitterTests", dependencies: ["ChannelEmitter", "RedisPubSub"], swiftSettings: testSettings),
        .testTarget(name: "WSEmitTests", dependencies: ["ws-emit", "JSONCodec", logging], swiftSettings: testSettings),
        .testTarget(name: "SubspyTests", dependencies: ["subspy", nioEmbedded], swiftSettings: testSettings),
        .testTarget(name: "BridgeTests", dependencies: ["Bridge", nioEmbedded], swiftSettings: testSettings),
    ],
    swiftLanguageModes: [.v6]
)
