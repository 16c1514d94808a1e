import Testing

@testable import SocketIOProtocol

@Suite struct FormEncodingTests {
    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("a+b", "a b"), ("%41%6a%4A", "AjJ"), ("%C3%A9", "é"),
        ("100%", "100%"), ("%4", "%4"), ("%zz", "%zz"), ("%4g%41", "%4gA"), ("%%41", "%A"),
    ])
    func `a percent-encoded value is decoded and a broken escape stays`(encoded: String, decoded: String) {
        #expect(FormEncoding.decode(Array(encoded.utf8)[...]) == Array(decoded.utf8))
    }

    @Test(arguments: [
        ("", []), ("a=1", ["a=1"]), ("a=1&b=2", ["a=1", "b=2"]), ("&&a=1&", ["a=1"]), ("a", []), ("a=", []),
        ("=1", ["=1"]), ("a=1=2", ["a=1=2"]), ("%61=%3D%26", ["a==&"]), ("a=1&a=2", ["a=1", "a=2"]),
    ])
    func `pairs come in order and names without a value are passed over`(query: String, pairs: [String]) {
        var found: [String] = []
        FormEncoding.forEachPair(in: query.utf8) { name, value in
            found.append(String(decoding: name, as: UTF8.self) + "=" + String(decoding: value, as: UTF8.self))
        }
        #expect(found == pairs)
    }
}
