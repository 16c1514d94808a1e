import Bytes
import Testing

@testable import PubSubMessages

/// Runs each test of a suite twice: with and without the fast lane in its decoders.
struct BothWays: SuiteTrait, TestTrait, TestScoping {
    @TaskLocal static var usesFastLane = true

    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        for usesFastLane in [true, false] {
            try await Self.$usesFastLane.withValue(usesFastLane) { try await function() }
        }
    }
}

extension Trait where Self == BothWays {
    static var bothWays: Self { Self() }
}

/// A decoder with or without the fast lane, as the test runs.
func makeDecoder(hostID: ByteString, limits: PubSubMessageLimits = .init()) -> PubSubMessageDecoder {
    PubSubMessageDecoder(hostID: hostID, limits: limits, usesFastLane: BothWays.usesFastLane)
}
