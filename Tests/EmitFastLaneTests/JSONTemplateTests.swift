import Testing

@testable import EmitFastLane

/// Tests which objects match the template of an earlier one. The decoder's tests compare their results.
@Suite struct JSONTemplateTests {
    private static let parts = [
        #"{"method": "emit", "event": "#, #", "data": "#, #", "binary": false, "namespace": "/", "room": "#,
        #", "skip_sid": null, "callback": null, "host_id": "#, "}",
    ]
    private static let values = ["\"x\"", "[1]", "\"r\"", "\"h\""]

    private static func json(_ values: [String]) -> [UInt8] {
        Array((zip(parts, values).map { $0 + $1 }.joined() + (parts.last ?? "")).utf8)
    }

    /// True if a message matches the template of the message with `values`.
    private static func matches(_ message: [UInt8]) -> Bool {
        var locator = JSONLocator()
        json(values).withUnsafeBytes { bytes in
            _ = locator.locateEmit(bytes)
        }
        return message.withUnsafeBytes { locator.locate($0) && locator.matchesTemplate }
    }

    @Test(arguments: [
        ("\"other\"", true), ("\"\"", true), ("\"\u{e9}\"", false), (#""\u0041""#, false), ("null", false),
        ("7", false), (#""a", "room": "b""#, false), (" \"r\"", false), ("\"r\" ", false),
    ])
    func `JSON with other texts without escapes matches a template`(text: String, isMatching: Bool) {
        for place in [0, 2, 3] {
            var values = Self.values
            values[place] = text
            #expect(Self.matches(Self.json(values)) == isMatching)
        }
    }

    @Test(arguments: [
        "[]", "[1, {\"a\": [\"}\"]}]", "{}", "null", "true", "-1.5e3", "12", "\"text\"", "\"\u{e9}\"", "[01]",
        "\"a\", \"b\": \"c\"",
    ])
    func `JSON with any data matches a template`(data: String) {
        var values = Self.values
        values[1] = data
        // A number below zero is left to the parser, as is a key that wasn't there.
        #expect(Self.matches(Self.json(values)) != (data.contains("\"b\"") || data.hasPrefix("-")))
    }
}
