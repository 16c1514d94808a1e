import RedisPubSub
import Testing

@Suite struct RedisConfigurationTests {
    @Test func `delays double up to the cap and jitter takes away up to half`() {
        let backoff = RedisConfiguration.Backoff()
        let full = (1...9).map { backoff.delay(failures: $0, refused: false, jitter: 1) }
        #expect(
            full == [
                .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1_600),
                .milliseconds(3_200), .seconds(5), .seconds(5), .seconds(5),
            ])
        #expect(backoff.delay(failures: 1, refused: false, jitter: 0) == .milliseconds(50))
        #expect(backoff.delay(failures: .max, refused: false, jitter: 2) == .seconds(5))
        #expect(backoff.delay(failures: 0, refused: false, jitter: -1) == .milliseconds(50))
    }

    @Test func `a refusal is retried slowly from the first time`() {
        #expect(RedisConfiguration.Backoff().delay(failures: 1, refused: true, jitter: 1) == .seconds(10))
    }
}
