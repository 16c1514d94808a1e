import Testing

@testable import PickleCodec

@Suite struct PickleOpcodeTests {
    @Test func `the table has 68 opcodes with different names, each of a protocol from 0 to 5`() {
        #expect(PickleOpcode.allCases.count == 68)
        #expect(Set(PickleOpcode.allCases.map(\.description)).count == 68)
        #expect(PickleOpcode.allCases.allSatisfy { 0...5 ~= $0.minimumProtocol })
    }

    @Test func `a byte that is no opcode makes none`() {
        let bytes = (0...UInt8.max).filter { PickleOpcode(rawValue: $0) != nil }
        #expect(bytes == PickleOpcode.allCases.map(\.rawValue))
        #expect(PickleOpcode(rawValue: 0) == nil)
    }

    @Test func `opcodes are cases of a switch over bytes`() {
        func name(_ byte: UInt8) -> String {
            switch byte {
            case PickleOpcode.stop: "STOP"
            case PickleOpcode.binInt1, PickleOpcode.binInt2: "BININT"
            default: ""
            }
        }
        #expect(".KM\0".utf8.map(name) == ["STOP", "BININT", "BININT", ""])
    }
}
