import Bytes
import Testing

@testable import Bridge

@Suite struct OriginAdviceTests {
    private static func advice(_ origin: String, allowed: String...) -> String {
        OriginAdvice(refused: origin, allowed: allowed).description
    }

    @Test func `the option shown allows the origin and all that were allowed`() {
        #expect(
            Self.advice("http://127.0.0.1:7788", allowed: "http://localhost:7788", "https://shop.example") == """
                the Origin http://127.0.0.1:7788 is refused; if that page or app is yours, allow it with \
                --cors http://localhost:7788 https://shop.example http://127.0.0.1:7788 or \
                CORS="http://localhost:7788 https://shop.example http://127.0.0.1:7788" \
                (127.0.0.1 and localhost are different origins, though the same machine)
                """)
    }

    @Test(
        arguments: [
            ("http://localhost:7788", "http://[::1]:7788", "localhost and [::1] are different origins"),
            ("https://a.example", "http://a.example", "https and http are different origins"),
            ("https://a.example:8443", "http://a.example:8443", "https and http are different origins"),
            ("http://a.example:8080", "http://a.example", "the port differs from the allowed http://a.example:"),
            ("http://a.example", "http://a.example:8080", "the port differs from the allowed http://a.example:8080:"),
            ("http://www.a.example", "http://a.example", "www.a.example and a.example are different origins"),
        ])
    func `a near miss is named`(origin: String, allowed: String, hint: String) {
        let text = Self.advice(origin, allowed: allowed)
        #expect(text.contains("--cors \(allowed) \(origin) or"))
        #expect(text.contains(hint))
    }

    @Test(
        arguments: [
            "http://a.example/", "http://A.example", "HTTP://a.example", "http://a.example:80", "http://a.example/app/",
        ])
    func `a misspelt entry is replaced`(allowed: String) {
        #expect(
            Self.advice("http://a.example", allowed: allowed, "http://b.example") == """
                the Origin http://a.example is refused; if that page or app is yours, allow it with \
                --cors http://b.example http://a.example or CORS="http://b.example http://a.example" \
                (browsers don't send it as \(allowed))
                """)
    }

    @Test func `an origin like none that is allowed gets no hint`() {
        #expect(!Self.advice("http://a.example", allowed: "http://localhost:7788").contains("("))
    }

    @Test(
        arguments: [
            "$(reboot)", "http://a.example;reboot", "http://a.example`id`", "http://a example", "http://", "://", "",
            "http://[", "http://[]", "http://[::1", "http://a:b", "http://a:99999", "http://a:", "http://a:-1",
            "http://a\u{1b}[2J", "http://é.example", "http://a.example\"", "http://user@a.example", "x", "--secret://a",
            "1://a",
        ])
    func `what is no origin is never put into an option`(origin: String) {
        let text = Self.advice(origin, allowed: "http://localhost:7788")
        #expect(!text.contains("--cors") && !text.contains("CORS="))
        #expect(text.unicodeScalars.allSatisfy { (0x20...0x7e).contains($0.value) || $0 == "…" })
    }

    @Test(arguments: ["http://a.example/", "http://a.example/?q", "HTTP://a.example/app"])
    func `an origin that can't be allowed is answered with what the client may send`(origin: String) {
        let text = Self.advice(origin, allowed: "http://localhost:7788")
        #expect(
            text.hasSuffix("browsers send it as http://a.example: let your app send that, or no Origin"))
        #expect(!text.contains("--cors"))
    }

    @Test(
        arguments: [
            "file://", "wss://a.example:443", "http://a.example:80", "HTTP://A.example", "null", "http://127.0.0.1",
            "ws://a.example", "app://-", "capacitor://localhost", "chrome-extension://abcdefgh", "tauri://localhost",
        ])
    func `the option shown allows exactly an app's origin`(origin: String) throws {
        let text = Self.advice(origin, allowed: "http://localhost:7788", "https://*.example", "file://")
        let option = "http://localhost:7788 file:// \(origin)"
        #expect(text.contains("--cors \(option) or CORS=\"\(option)\""), "\(text)")
        #expect(option.split(separator: " ").allSatisfy { AllowedOrigin.flaw(in: String($0)) == nil })
        #expect(CORSPolicy(origins: option.split(separator: " ").map(String.init)).accepts(origin))
        #expect(["send no Origin", "page or app is yours"].contains { text.contains($0) })
    }

    @Test func `null is explained`() {
        #expect(Self.advice("null", allowed: "http://localhost:7788").contains("opened as files"))
    }

    @Test(
        arguments: [
            ("good.example", "write the scheme too"), ("localhost:7788", "write the scheme too"),
            ("https://*.example.org", "stands alone"), ("*.example.org", "stands alone"),
            ("http://localhost:*", "stands alone"),
            ("https://a.example/", "browsers send https://a.example,"),
            ("https://a.example/app", "browsers send https://a.example,"),
            ("file:///", "scheme://host:port"), ("http://", "scheme://host:port"), ("http://a,http://b", "by spaces"),
            ("\"http://a.example\"", "scheme://host:port"), ("http://user@a.example", "scheme://host:port"),
            ("http://a.example:port", "scheme://host:port"), ("http://a.example?x", "scheme://host:port"),
            ("http:/a.example", "write the scheme too"), ("http://\u{1b}[2J", "\\u{1b}"),
        ])
    func `an allowed origin that no Origin can be is told with its reason`(origin: String, reason: String) {
        #expect(AllowedOrigin.flaw(in: origin)?.contains(reason) == true, "\(AllowedOrigin.flaw(in: origin) ?? "nil")")
    }

    @Test func `an allowed origin that only apps can have is doubted`() {
        #expect(AllowedOrigin.doubt(in: "https://A.example:443")?.hasSuffix("pages have https://a.example") == true)
        for origin in ["https://a.example", "http://a.example:8080", "wss://a.example:443", "file://", "*", "null"] {
            #expect(AllowedOrigin.doubt(in: origin) == nil && AllowedOrigin.flaw(in: origin) == nil)
        }
    }

    @Test func `many allowed origins are not repeated`() {
        let many = (0..<100).map { "http://host-\($0).example" }
        let text = OriginAdvice(refused: "http://a.example", allowed: many).description
        #expect(text.hasSuffix("allow it with --cors … http://a.example, besides the others"))
    }

    @Test func `a long origin is cut`() {
        #expect(OriginAdvice.printable(String(repeating: "a", count: 1000)).utf8.count < 140)
    }
}
