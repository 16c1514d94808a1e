// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the main manifest never learns about it. The codecs are linked in as targets: what the
// bridge uses of them has `package` access.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "pickle-benchmarks",
    targets: [
        .target(name: "Bytes", swiftSettings: strict),
        .target(name: "JSONCodec", dependencies: ["Bytes"], swiftSettings: strict),
        .target(name: "PickleCodec", dependencies: ["Bytes"], swiftSettings: strict),
        .target(name: "EmitFastLane", dependencies: ["Bytes", "PickleCodec", "JSONCodec"], swiftSettings: strict),
        .target(
            name: "PubSubMessages", dependencies: ["Bytes", "PickleCodec", "JSONCodec", "EmitFastLane"],
            swiftSettings: strict),
        .executableTarget(
            name: "pickle-bench",
            dependencies: ["Bytes", "PickleCodec", "JSONCodec", "EmitFastLane", "PubSubMessages"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
