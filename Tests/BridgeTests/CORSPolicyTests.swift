import NIOCore
import NIOHTTP1
import Testing

@testable import Bridge

@Suite struct CORSPolicyTests {
    @Test(
        arguments: [
            (nil, true), ("", true), ("http://a.example", true), ("http://b.example:8080", true),
            ("https://a.example", false), ("http://A.example", false), ("http://a.example/", false), ("null", false),
            ("http://a.example:80", false), ("http://b.example", false), ("http://evil.example", false), ("*", false),
        ] as [(String?, Bool)])
    func `an origin must match to the letter`(origin: String?, isAccepted: Bool) {
        let policy = CORSPolicy(origins: ["http://a.example", "http://b.example:8080"])
        #expect(policy.accepts(origin) == isAccepted)
    }

    @Test func `a star anywhere allows any origin, echoed`() {
        let policy = CORSPolicy(origins: ["http://a.example", "*"])
        #expect(policy.accepts("https://any.example"))
        #expect(
            policy.headers(for: "https://any.example").contains {
                $0.name == "Access-Control-Allow-Origin" && $0.value == "https://any.example"
            })
    }

    @Test func `a request without origin gets no origin back`() {
        for origin in [nil, ""] as [String?] {
            #expect(
                CORSPolicy(origins: ["*"]).headers(for: origin).map(\.name) == ["Access-Control-Allow-Credentials"])
        }
    }

    private static func headers(of response: HTTPResponse) -> HTTPHeaders {
        var bytes = ByteBuffer()
        response.write(HTTPResponse.Framing(), to: &bytes)
        let lines = String(buffer: bytes).split(separator: "\r\n").dropFirst()
        return HTTPHeaders(
            lines.compactMap { line in
                line.firstRange(of: ": ").map { (String(line[..<$0.lowerBound]), String(line[$0.upperBound...])) }
            })
    }

    @Test func `a preflight grants what is asked`() {
        let policy = CORSPolicy(origins: ["http://a.example"])
        let asked: HTTPHeaders = ["Access-Control-Request-Headers": "content-type, x-a"]
        let answer = policy.preflight(origin: "http://a.example", asked)
        let headers = Self.headers(of: answer)
        #expect(answer.status == .ok && String(buffer: answer.body) == "OK")
        #expect(headers["access-control-allow-headers"] == ["content-type, x-a"])
        #expect(headers["access-control-allow-methods"] == ["OPTIONS, GET, POST"])
        #expect(headers["access-control-allow-credentials"] == ["true"])
        #expect(!headers.contains(name: "access-control-allow-private-network"))
        let plain = Self.headers(of: policy.preflight(origin: nil, asked))
        #expect(plain["access-control-allow-headers"].isEmpty)
    }

    @Test func `a public page may reach a server in its user's network`() {
        let asked: HTTPHeaders = ["Access-Control-Request-Private-Network": "true"]
        for (origin, granted) in [("http://a.example", ["true"]), (nil, [])] as [(String?, [String])] {
            let answer = CORSPolicy(origins: ["http://a.example"]).preflight(origin: origin, asked)
            #expect(Self.headers(of: answer)["access-control-allow-private-network"] == granted)
        }
    }
}
