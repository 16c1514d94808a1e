import Testing

@testable import RedisPubSub

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
        (
            "redissss://h",
            "the scheme redissss:// of the Redis URL is not supported: redis://, rediss:// (TLS), unix://"
        ),
        ("redis+socket://h", "the scheme redis+socket:// "), ("redis+sentinel+x://h", "the scheme"),
        ("http://s3cret@h", "the scheme http:// "),
        ("S3cret9://h", "the scheme of the Redis URL is not supported"),
        ("redis://h:0", "port"), ("redis://h:65536", "port"), ("redis://h:x", "port"), ("redis://h:-1", "port"),
        ("redis://u:s3/cret@h", "%2F"), ("redis://u:1/s3cret@h", "%2F"), ("redis://u:s3?cret=a@h", "%3F"),
        ("redis://u?s3cret@h", "%3F"), ("redis://u?s3cret", "%3F"), ("redis://u:p#s3cret@h", "%23"),
        ("redis://u:1#s3", "%23"), ("redis://u:1/0#s3cret@h", "%23"),
        ("redis://::1", "brackets"), ("redis://[::1", "brackets"), ("redis://[]", "brackets"),
        ("redis://[::1]x", "brackets"), ("redis://a b", "host"),
        ("redis://h/x", "database"), ("redis://h/-1", "database"), ("redis://h/99999999999", "database"),
        ("redis://h?foo=1", "unknown option foo in the Redis URL. Known are client_name, db,"),
        ("redis://h?max_conections=3", "did you mean max_connections?"),
        ("redis+sentinel://h/mymaster", "ends with /db/service"),
        ("redis://h?DB=1", "unknown option in"), ("redis://h?socket_timeuot=1", "did you mean socket_timeout?"),
        ("redis://h?ssl_cert_reqs=none", "the option ssl_cert_reqs of the Redis URL needs rediss://"),
        ("rediss://h?ssl_cert_reqs=some", "neither required nor optional nor none: write ssl_cert_reqs=none to"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "write ssl_cert_reqs=none"),
        ("rediss://h?ssl_cert_reqs=CERT_REQUIRED", "write ssl_cert_reqs=required"),
        ("rediss://h?ssl_check_hostname=maybe", "neither true nor false"),
        ("rediss://h?ssl_certfile=/c", "ssl_certfile of the Redis URL and ssl_keyfile go together"),
        ("rediss://h?ssl_ca_certs=/c&ssl_ca_path=/d", "exclude each other"), ("rediss://h?ssl=true", "write rediss://"),
        ("rediss://h?ssl_min_version=TLSv1", "neither TLSv1.2 nor TLSv1.3"),
        ("redis://h?socket_timeout=0", "0.05 to 3600"), ("redis://h?socket_connect_timeout=s3", "0.05 to 3600"),
        ("redis://h?health_check_interval=nan", "0.05 to 3600"), ("redis://h?protocol=4", "neither 2 nor 3"),
        ("redis://h?client_name=a%20b", "printable ASCII"), ("redis://?port=0", "port"), ("redis://?port=s3", "port"),
        ("unix:///s?host=h", "needs redis://"), ("redis+cluster://?host=h", "needs redis://"),
        ("redis://h?path=/s", "needs unix://"),
        ("redis://h1,h2", "only redis+sentinel:// and redis+cluster://"), ("redis+cluster://h/1", "only database 0"),
        ("redis+cluster://h1,,h2", "host"), ("redis+sentinel://h/0/a/b", "/db/service"),
        ("redis+sentinel://u:1/s3cret@h", "%2F"), ("redis://h?sentinel_password=s3", "needs redis+sentinel://"),
        ("redis+cluster://" + String(repeating: "h,", count: 64) + "h", "more than 64"),
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

    /// What redis-py takes keeps nobody from starting.
    @Test(arguments: [
        ("redis://h/0#s3", 1), ("redis://h/?db=1#s3", 1), ("redis://h/0/", 0), ("redis://h/3/", 0), ("redis://h//3", 0),
        ("redis://h?db=", 1), ("redis://h/1?db=2", 1),
        ("redis://h?db=1&db=1", 1), ("redis://h?password=", 1), ("redis://h?socket_timeout", 1), ("redis://h?&", 0),
        ("redis://a@h?username=b", 1), ("redis://:s3@h?password=cret", 1), ("redis://h?socket%5Ftimeout=3", 0),
        ("redis://h?host=g", 1), ("redis://h:1?port=2", 1), ("redis://?host=g&port=2", 0), ("unix://?path=/s", 0),
        ("redis://h?health_check_interval=0", 1), ("redis://h?health_check_interval=-1", 1),
        ("redis://h?protocol=3", 1),
        ("redis://h?socket_timeout=86400", 1), ("redis://h?socket_timeout=0.01", 1),
        ("redis://h?socket_timeout=inf", 1),
        ("redis://h?socket_keepalive=on", 0), ("redis://h?encoding=utf-8&decode_responses=True&lib_name=x", 1),
        ("redis://h?max_connections=20&retry_on_timeout=true&timeout=1", 1), ("redis://h?max_connections=", 1),
        ("redis://h?retry_on_error=%5B%5D&socket_keepalive_options=%7B%7D&credential_provider=x&lib_version=1", 1),
        ("redis://h?single_connection_client=1&socket_read_size=65536&health_check_interval=0", 2),
        ("rediss://h?ssl_min_version=TLSv1_2", 0), ("rediss://h?ssl_min_version=769", 1),
        ("rediss://h?ssl_ciphers=HIGH&ssl_validate_ocsp=true", 1),
    ])
    func `what redis-py takes is taken, and what has no effect is told`(_ text: String, _ notes: Int) throws {
        let url = try RedisURL(text)
        #expect(url.options.notes.count == notes)
        #expect(!url.options.notes.contains { $0.contains("s3") || $0.contains("cret") || $0.contains("\n") })
    }

    @Test func `of two places that say the same the one counts that counts in redis-py`() throws {
        #expect(try RedisURL("redis://h/1?db=2").database == 2)
        #expect(try RedisURL("redis://h/3/").database == 3 && RedisURL("redis://h//").database == 0)
        #expect(try RedisURL("redis://h?db=1&db=2").database == 1)
        #expect(try RedisURL("redis://a:x@h?username=b&password=y").user == Array("a".utf8))
        #expect(try RedisURL("redis://a:x@h?username=b&password=y").password == Array("x".utf8))
        #expect(try RedisURL("redis://?host=g&port=2").endpoint == .tcp(host: "g", port: 2))
        #expect(try RedisURL("redis://h?host=g&port=2").endpoint == .tcp(host: "h", port: 2))
        #expect(try RedisURL("redis://:1?host=g&port=2").endpoint == .tcp(host: "g", port: 1))
        #expect(try RedisURL("unix://:pw@?path=/a%2Fb").endpoint == .unixSocket(path: "/a/b"))
        #expect(try RedisURL("redis://h?health_check_interval=0").options.pingInterval == nil)
        #expect(try RedisURL("redis://h?socket_timeout=86400").options.commandTimeout == .seconds(3_600))
        #expect(
            try RedisURL("redis://h?max_connections=2&encoding=x&timeout=").options.notes == [
                "these options of the Redis URL have no effect: max_connections, encoding, timeout"
            ])
    }

    @Test func `several servers are named by commas`() throws {
        let sentinel = try RedisURL("valkey+sentinel://me:pw@h1:1,[::1],h3/2/my%20master?sentinel_password=x")
        #expect(sentinel.topology == .sentinel(service: "my master"))
        #expect(
            sentinel.endpoints == [
                .tcp(host: "h1", port: 1), .tcp(host: "::1", port: 26_379), .tcp(host: "h3", port: 26_379),
            ])
        #expect(sentinel.database == 2)
        #expect("\(sentinel)" == "redis+sentinel://me:***@h1:1,[::1]:26379,h3:26379/2/my master")
        for text in ["redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel://h/0", "redis+sentinel://h//"] {
            #expect(try RedisURL(text).topology == .sentinel(service: nil))
        }
        #expect(try RedisURL("redis+sentinel://h//name").topology == .sentinel(service: "name"))
        let cluster = try RedisURL("rediss+cluster://h1,h2:7/0")
        #expect(cluster.topology == .cluster)
        #expect(cluster.endpoints == [.tcp(host: "h1", port: 6_379), .tcp(host: "h2", port: 7)])
        #expect("\(cluster)" == "rediss+cluster://h1:6379,h2:7")
    }

    @Test func `user and password of the URL are the master's, sentinels have their own`() throws {
        let url = try RedisURL("redis+sentinel://me:pw@h?sentinel_username=you&sentinel_password=s+%2b").forSentinels()
        #expect(url.user == Array("you".utf8) && url.password == Array("s +".utf8))
        #expect(try RedisURL("redis+sentinel://me:pw@h").forSentinels().password == nil)
    }

    @Test func `options mean what they mean to redis-py`() throws {
        let url = try RedisURL(
            "valkeys://h/1?username=me&password=p%26w&client_name=web&socket_timeout=0.5&socket_connect_timeout=3"
                + "&health_check_interval=30&socket_keepalive=True&protocol=2&db=1")
        #expect(url.user == Array("me".utf8) && url.password == Array("p&w".utf8) && url.database == 1)
        #expect(url.options.clientName == "web" && url.options.commandTimeout == .milliseconds(500))
        #expect(url.options.connectTimeout == .seconds(3) && url.options.pingInterval == .seconds(30))
        #expect(url.options.tls?.verifiesCertificate == true && url.options.tls?.checksHostname == true)
        #expect(try RedisURL("rediss://h?ssl_cert_reqs=none").options.tls?.verifiesCertificate == false)
        #expect(try RedisURL("rediss://h?ssl_check_hostname=false").options.tls?.checksHostname == false)
    }

    @Test func `TLS to the master and to the sentinels is told apart`() throws {
        for (text, master, sentinels) in [
            ("redis+sentinel://h", false, false), ("rediss+sentinel://h", true, true),
            ("redis+sentinel://h?ssl=true", true, false), ("redis+sentinel://h?sentinel_ssl=true", false, true),
            ("valkeys+sentinel://h?sentinel_ssl=no", true, false),
        ] {
            let url = try RedisURL(text)
            #expect((url.options.tls != nil) == master && (url.forSentinels().options.tls != nil) == sentinels)
        }
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
        let alphabet = Array("redis:/@?#[]%&=,0a1\u{0}ü ".unicodeScalars)
        for _ in 0..<20_000 {
            var text = ["redis://", "unix://", "redis+sentinel://", "redis+cluster://"].randomElement() ?? ""
            for _ in 0..<Int.random(in: 0..<16) {
                text.unicodeScalars.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
            }
            _ = try? RedisURL(text)
        }
    }
}
