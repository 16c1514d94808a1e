import RedisPubSub
import Testing

@Suite struct RedisURLTests {
    struct Valid: Sendable, CustomTestStringConvertible {
        let text: String
        let endpoint: RedisURL.Endpoint
        var user: String?
        var password: String?
        var database = 0
        let description: String

        var testDescription: String { text }
    }

    static let valid: [Valid] = [
        .init(text: "redis://", endpoint: .tcp(host: "localhost", port: 6379), description: "redis://localhost:6379/0"),
        .init(
            text: "redis://localhost:6379/0", endpoint: .tcp(host: "localhost", port: 6379),
            description: "redis://localhost:6379/0"),
        .init(
            text: "REDIS://h:/", endpoint: .tcp(host: "h", port: 6379), description: "redis://h:6379/0"),
        .init(
            text: "redis://h:1/12", endpoint: .tcp(host: "h", port: 1), database: 12, description: "redis://h:1/12"),
        .init(
            text: "redis://h?db=3", endpoint: .tcp(host: "h", port: 6379), database: 3,
            description: "redis://h:6379/3"),
        .init(
            text: "redis://h/3?db=3", endpoint: .tcp(host: "h", port: 6379), database: 3,
            description: "redis://h:6379/3"),
        .init(
            text: "redis://:s3cret@h", endpoint: .tcp(host: "h", port: 6379), password: "s3cret",
            description: "redis://:***@h:6379/0"),
        .init(
            text: "redis://me:s3cret@h", endpoint: .tcp(host: "h", port: 6379), user: "me", password: "s3cret",
            description: "redis://me:***@h:6379/0"),
        .init(
            text: "redis://me@h", endpoint: .tcp(host: "h", port: 6379), user: "me", password: "",
            description: "redis://me:***@h:6379/0"),
        .init(
            text: "redis://@h", endpoint: .tcp(host: "h", port: 6379), description: "redis://h:6379/0"),
        .init(
            text: "redis://a%40b:p%2F%3f%23%25zz%4@h", endpoint: .tcp(host: "h", port: 6379), user: "a@b",
            password: "p/?#%zz%4", description: "redis://a@b:***@h:6379/0"),
        .init(
            text: "redis://u:p:q@r@h:7", endpoint: .tcp(host: "h", port: 7), user: "u", password: "p:q@r",
            description: "redis://u:***@h:7/0"),
        .init(
            text: "redis://[::1]:6380/1", endpoint: .tcp(host: "::1", port: 6380), database: 1,
            description: "redis://[::1]:6380/1"),
        .init(
            text: "redis://[fe80::1%25eth0]", endpoint: .tcp(host: "fe80::1%eth0", port: 6379),
            description: "redis://[fe80::1%eth0]:6379/0"),
        .init(
            text: "unix:///run/redis.sock", endpoint: .unixSocket(path: "/run/redis.sock"),
            description: "unix:///run/redis.sock"),
        .init(
            text: "unix://me:pw@/run/a%20b@c.sock?db=2", endpoint: .unixSocket(path: "/run/a b@c.sock"), user: "me",
            password: "pw", database: 2, description: "unix://me:***@/run/a b@c.sock?db=2"),
        .init(
            text: "unix://:pw@/s?", endpoint: .unixSocket(path: "/s"), password: "pw", description: "unix://:***@/s"),
    ]

    @Test(arguments: valid) func `a valid URL is understood as redis-py does`(_ row: Valid) throws {
        let url = try RedisURL(row.text)
        #expect(url.endpoint == row.endpoint)
        #expect(url.user == row.user.map { Array($0.utf8) })
        #expect(url.password == row.password.map { Array($0.utf8) })
        #expect(url.database == row.database)
        #expect("\(url)" == row.description)
    }

    static let invalid: [(String, String)] = [
        ("", "begins with its scheme"),
        ("localhost:6379", "begins with its scheme"),
        ("/run/redis.sock", "begins with its scheme"),
        ("rediss://h", "the scheme rediss:// of the Redis URL is not supported yet: redis:// and unix://"),
        ("redis+sentinel://h", "the scheme redis+sentinel:// "),
        ("redis+cluster://s3cret@h", "the scheme redis+cluster:// "),
        ("S3cret9://h", "the scheme of the Redis URL is not supported"),
        ("redis://h:0", "port"), ("redis://h:65536", "port"), ("redis://h:x", "port"), ("redis://h:-1", "port"),
        ("redis://u:s3/cret@h", "%2F"), ("redis://u:1/s3cret@h", "%2F"), ("redis://u:s3?cret=a@h", "%3F"),
        ("redis://u?s3cret@h", "%3F"), ("redis://u?s3cret", "%3F"), ("redis://u:p#s3cret@h", "%23"),
        ("redis://::1", "brackets"), ("redis://[::1", "brackets"), ("redis://[]", "brackets"),
        ("redis://[::1]x", "brackets"), ("redis://a b", "host"),
        ("redis://h/x", "database"), ("redis://h/-1", "database"), ("redis://h/99999999999", "database"),
        ("redis://h?db=", "database"), ("redis://h/1?db=2", "twice"), ("redis://h?db=1&db=1", "twice"),
        ("redis://h?ssl_cert_reqs=none", "unknown option ssl_cert_reqs"), ("redis://h?DB=1", "unknown option in"),
        ("unix://", "absolute path"), ("unix:///", "absolute path"), ("unix://run/redis.sock", "absolute path"),
        ("unix:///a%00b", "absolute path"), ("unix:///" + String(repeating: "a", count: 107), "107 bytes"),
        ("unix:///s/0?x=1", "unknown option x"),
    ]

    @Test(arguments: invalid) func `an invalid URL is refused in one sentence without the password`(
        _ text: String, _ part: String
    ) {
        let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
        let sentence = error?.description ?? ""
        #expect(sentence.contains(part))
        #expect(!sentence.contains("s3") && !sentence.contains("cret") && !sentence.contains("\n"))
    }

    @Test func `no way of printing a URL shows its password`() throws {
        let url = try RedisURL("redis://me:s3cret@h")
        var dumped = ""
        dump(url, to: &dumped)
        for text in ["\(url)", String(reflecting: url), dumped, "\([url])", "\(Optional.some(url) as Any)"] {
            #expect(!text.contains("s3cret") && !text.contains("115"))
        }
    }

    @Test func `any bytes after the scheme are a URL or an error`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("redis:/@?#[]%&=0a1\u{0}ü ".unicodeScalars)
        for _ in 0..<20_000 {
            var text = Bool.random() ? "redis://" : "unix://"
            for _ in 0..<Int.random(in: 0..<16) {
                text.unicodeScalars.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
            }
            _ = try? RedisURL(text)
        }
    }
}
