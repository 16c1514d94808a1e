import Bytes
import Testing

@testable import PubSubMessages

@Suite struct RoomNamesTests {
    @Test func `any number of names are distinguished`() {
        let names = RoomNames()
        for _ in 0..<2 {
            for number in 0..<20_000 {
                let name = Array("room \(number)".utf8)
                #expect(name.withUnsafeBytes { names.rooms(named: $0) } == .these([ByteString(bytes: name)]))
            }
        }
    }

    @Test(arguments: [0, 1, 7, 8, 9, 127, 128, 129, 5_000]) func `a name may have any length`(length: Int) {
        let names = RoomNames()
        for byte in [0x61, 0x62] as [UInt8] {
            let name = [UInt8](repeating: byte, count: length)
            for _ in 0..<2 {
                #expect(name.withUnsafeBytes { names.rooms(named: $0) } == .these([ByteString(bytes: name)]))
            }
        }
    }
}
