// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "emit",
    dependencies: [
        // Elsewhere: .package(url: "<where you have ws-emit from>", from: "<version>")
        .package(name: "ws-emit", path: "../../..")
    ],
    targets: [
        .executableTarget(name: "emit", dependencies: [.product(name: "ChannelEmitter", package: "ws-emit")])
    ],
    swiftLanguageModes: [.v6]
)
