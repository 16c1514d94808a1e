import Bytes
import Testing

@testable import PickleCodec

/// The bounds on the JSON of a pickle: each exactly and exceeded by one.
@Suite struct PickleOutputBoundsTests {
    private func jsonCause(
        _ pickle: [UInt8], _ change: (inout PickleJSONPolicy) -> Void = { _ in }, depth: Int = 1000
    ) throws -> PickleJSONError.Cause? {
        var policy = PickleJSONPolicy()
        change(&policy)
        return try pickle.withUnsafeBytes { bytes in
            var limits = PickleLimits()
            limits.maximumDepth = depth
            var document = PickleDocument(limits: limits)
            var writer = JSONWriter()
            var attachments: [PickleDocument.Node] = []
            try document.parse(bytes)
            do throws(PickleJSONError) {
                try document.writeJSON(document.root, to: &writer, attachments: &attachments, policy: policy)
                return nil
            } catch {
                return error.cause
            }
        }
    }

    @Test func `the bound on JSON holds exactly and fails by one, also by a closing bracket`() throws {
        // Ten doublings of []: 2 bytes, then twice as many and 3.
        let pickle = HostilePickleTests.laughs(10)
        #expect(try jsonCause(pickle) { $0.maximumOutputBytes = 5117 } == nil)
        #expect(try jsonCause(pickle) { $0.maximumOutputBytes = 5116 } == .outputTooLong)
    }

    @Test func `eight times the pickle is always allowed`() throws {
        #expect(try jsonCause(Array("](NNNNe.".utf8)) { $0.maximumOutputBytes = 0 } == nil)
    }

    @Test func `the bound on digits holds exactly and fails by one, without and with a sign`() throws {
        // 10**19 and its negative: twenty digits, nine bytes.
        let digits: [UInt8] = [0, 0, 0xe8, 0x89, 0x04, 0x23, 0xc7, 0x8a]
        for bytes in [digits + [0], digits.map { $0 == 0 ? 0 : $0 == 0xe8 ? 0x18 : ~$0 } + [0xff]] {
            let pickle: [UInt8] = [0x8a, 9] + bytes + [0x2e]
            #expect(try jsonCause(pickle) { $0.maximumIntegerDigits = 20 } == nil)
            #expect(try jsonCause(pickle) { $0.maximumIntegerDigits = 19 } == .integerTooLong)
        }
    }

    @Test func `the disassembler shows so many opcodes and so much of a text`() {
        var disassembler = PickleDisassembler()
        let pickle = Array("X\u{4}\0\0\0abcd.".utf8)
        disassembler.maximumOpcodes = 3
        #expect(!disassembler.disassemble(pickle).contains("... after"))
        disassembler.maximumOpcodes = 1
        #expect(disassembler.disassemble(pickle).contains("... after 1 opcodes"))
        disassembler.maximumOpcodes = 10
        disassembler.maximumArgumentBytes = 4
        #expect(disassembler.disassemble(pickle).contains("'abcd'"))
        disassembler.maximumArgumentBytes = 3
        #expect(!disassembler.disassemble(pickle).contains("abcd"))
    }

    @Test func `a description is cut off behind its bound`() {
        let value: PickleValue = [.string("abcd"), 5]
        #expect(value.description(maximumBytes: 20) == "[\"abcd\", 5]")
        #expect(value.description(maximumBytes: 7).contains("..."))
        let huge = try? PickleValue(decoding: HostilePickleTests.laughs(12))
        #expect(huge.map { $0.description(maximumBytes: 100).utf8.count < 200 } == true)
    }
}
