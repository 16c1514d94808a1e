// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "dir2web",
    dependencies: [
        .package(name: "ws-emit", path: "../../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        .executableTarget(
            name: "dir2web",
            dependencies: [
                .product(name: "ChannelEmitter", package: "ws-emit"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: [.treatAllWarnings(as: .error)])
    ],
    swiftLanguageModes: [.v6]
)
