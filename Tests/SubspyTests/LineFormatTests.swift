import ArgumentParser
import Testing

@testable import subspy

@Suite struct LineFormatTests {
    private func parts(_ format: LineFormat) -> [String] {
        format.parts.map { part in
            switch part {
            case .literal(let bytes): "'" + String(decoding: bytes, as: UTF8.self) + "'"
            case .field(let field): String(field.rawValue)
            }
        }
    }

    @Test(
        arguments: [
            ("%e", ["e"]), ("%T %e\\n", ["T", "' '", "e", "'\n'"]), ("100%%", ["'100%'"]), ("a\\t\\\\b", ["'a\t\\b'"]),
            ("%d%D", ["d", "D"]), ("комната %r", ["'комната '", "r"]),
        ] as [(String, [String])])
    func `a format is text and fields`(argument: String, expected: [String]) throws {
        #expect(parts(try LineFormat(argument: argument)) == expected)
    }

    @Test(arguments: [
        (
            "%e %q",
            "%q is no field; there are %T time, %m method, %e event, %r room, %n namespace, %k skipSID, %K keep, %y key, %i sid, %h host, "
                + "%d data, %D pythonData, %j message, %p pythonMessage, %s size, %f wireFormat, %c redisChannel, "
                + "%N number, %x dropReason, %%"
        ),
        ("%e%", "% at the end; write %% for itself"), ("\\q", "\\q is no escape; there are \\n \\t \\r \\0 \\\\"),
        ("", "it must not be empty"),
    ])
    func `a wrong format is told in one sentence`(argument: String, sentence: String) {
        #expect {
            try LineFormat(argument: argument)
        } throws: {
            ($0 as? ValidationError)?.message == sentence
        }
    }
}
