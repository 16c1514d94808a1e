import NIOCore
import NIOHTTP1
import Testing

@testable import Bridge

/// The responses of each path, through a connection and with a router.
@Suite struct HTTPEndpointsTests {
    @Test func `a request that breaks the rules of HTTP is counted by its cause`() throws {
        for (request, cause) in [
            ("GET /livez HTTP/1.1\r\n\r\n", ClientRefusal.Cause.malformedRequest),
            ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", .malformedRequest),
            ("POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .malformedRequest),
            ("\u{16}\u{3}\u{1}", .brokenRequest),
        ] {
            let connection = try HTTPHarness()
            connection.send(request)
            let refusals = connection.harness.shard.counters.refusals
            #expect(refusals.total == 1 && refusals[cause] == 1, "\(request)")
        }
    }

    @Test func `OPTIONS gives the verdict of a health check`() throws {
        for (path, status) in [("livez", "200"), ("readyz", "503"), ("metrics", "200"), ("explain", "200")] {
            let connection = try HTTPHarness()
            connection.send("OPTIONS /\(path) HTTP/1.0\r\n\r\n")
            let answers = try connection.answers()
            #expect(
                answers.hasPrefix("HTTP/1.1 \(status) ") && answers.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"),
                "\(answers)")
        }
    }

    // MARK: Pages

    @Test(
        arguments: [
            "PUT /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\n", "GET /socket.io/?EIO=3 HTTP/1.1\r\nHost: x\r\n",
            "GET /socket.io?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n",
            "POST /socket.io/?EIO=4&sid=x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n",
            "POST /socket.io/?EIO=4&sid=x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n",
            "GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nHost: y\r\n", "GET /other.io/?EIO=4 HTTP/1.1\r\nHost: x\r\n",
        ])
    func `the console of an allowed page tells what is wrong with a request`(head: String) throws {
        let connection = try HTTPHarness()
        connection.send(head + "Origin: http://localhost:7788\r\n\r\n")
        let answer = try connection.answers()
        #expect(answer.hasPrefix("HTTP/1.1 4"))
        #expect(answer.contains("\r\nAccess-Control-Allow-Origin: http://localhost:7788\r\n"), "\(answer)")
        let refused = try HTTPHarness()
        refused.send(head + "Origin: http://evil.example\r\n\r\n")
        let refusal = try refused.answers()
        #expect(refusal.hasPrefix("HTTP/1.1 4") && !refusal.contains("Access-Control"), "\(refusal)")
    }

    @Test func `a broken body is told to the page too`() throws {
        let connection = try HTTPHarness()
        connection.send(
            "POST /socket.io/?EIO=4&sid=x HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:7788\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
        )
        let answer = try connection.answers()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("Access-Control-Allow-Origin"), "\(answer)")
    }

    @Test(arguments: ["/emit", "/livez"]) func `other answers carry no CORS headers`(path: String) throws {
        let connection = try HTTPHarness()
        connection.send("GET \(path) HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:7788\r\n\r\n")
        #expect(try !connection.answers().contains("Access-Control"))
    }

    @Test(arguments: [("/socket.io/", "/socket.io"), ("/ws/live/", "/ws/live")])
    func `the path may come without its last slash`(path: String, bare: String) throws {
        let connection = try HTTPHarness { $0.path = path }
        for (target, status) in [
            ("\(bare)?EIO=4&transport=polling", 200), ("\(bare)?EIO=3", 400), (bare, 400), ("\(bare)x?EIO=4", 404),
        ] {
            connection.send("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try connection.answers().hasPrefix("HTTP/1.1 \(status) "), "\(target)")
        }
        connection.send("OPTIONS \(bare)?EIO=4 HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:7788\r\n\r\n")
        #expect(try connection.answers().contains("Access-Control-Allow-Methods"))
    }
}
