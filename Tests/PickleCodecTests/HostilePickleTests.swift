import Bytes
import Foundation
import Testing

@testable import PickleCodec

/// Hostile bytes: each limit exactly and exceeded by one, expansion, depth, truncation and mutation.
@Suite struct HostilePickleTests {
    // MARK: Limits

    static func cause(_ pickle: [UInt8], _ change: (inout PickleLimits) -> Void) -> PickleError.Cause? {
        var limits = PickleLimits()
        change(&limits)
        do throws(PickleError) {
            _ = try PickleGraph(decoding: pickle, limits: limits)
            return nil
        } catch {
            return error.cause
        }
    }

    @Test func `each limit holds exactly and fails by one`() {
        let text = Array("X\u{3}\0\0\0abc.".utf8)
        #expect(Self.cause(text) { $0.maximumInputBytes = text.count } == nil)
        #expect(Self.cause(text) { $0.maximumInputBytes = text.count - 1 } == .inputTooLong)
        let three = Array("(K\u{1}K\u{2}t.".utf8)
        #expect(Self.cause(three) { $0.maximumNodes = 3 } == nil)
        #expect(Self.cause(three) { $0.maximumNodes = 2 } == .tooManyNodes)
        let nested = Array("]]]aa.".utf8)
        #expect(Self.cause(nested) { $0.maximumDepth = 3 } == nil)
        #expect(Self.cause(nested) { $0.maximumDepth = 2 } == .tooDeep)
        let memo = Array("Nq\0q\u{1}q\0.".utf8)
        #expect(Self.cause(memo) { $0.maximumMemoEntries = 2 } == nil)
        #expect(Self.cause(memo) { $0.maximumMemoEntries = 1 } == .tooManyMemoEntries)
        let digits = Array("L-123L\n.".utf8)
        #expect(Self.cause(digits) { $0.maximumDecimalDigits = 3 } == nil)
        #expect(Self.cause(digits) { $0.maximumDecimalDigits = 2 } == .integerTooLong)
        let integer: [UInt8] = [0x8a, 2, 1, 2, 0x2e]
        #expect(Self.cause(integer) { $0.maximumIntegerBytes = 2 } == nil)
        #expect(Self.cause(integer) { $0.maximumIntegerBytes = 1 } == .integerTooLong)
    }

    @Test func `depth counts what was nested through the memo after it was placed`() {
        // a = []; b = [a]; a.append([[]]): b is four deep, though [a] was two deep when it was made.
        let pickle = Array("]]q\0ah\0]]aa0.".utf8)
        #expect(Self.cause(pickle) { $0.maximumDepth = 4 } == nil)
        #expect(Self.cause(pickle) { $0.maximumDepth = 3 } == .tooDeep)
    }

    @Test func `depth that was thrown away again does not count`() {
        #expect(Self.cause(Array("N]]]aa0.".utf8)) { $0.maximumDepth = 1 } == nil)
    }

    // MARK: Expansion

    /// `)2\x862\x86...`: 2**n empty tuples in 2n bytes.
    static func laughs(_ doublings: Int) -> [UInt8] {
        [0x80, 2, 0x29] + (0..<doublings).flatMap { _ in [0x32, 0x86] as [UInt8] } + [0x2e]
    }

    @Test func `shared values that would make a huge tree are a limit error as tree and as JSON`() throws {
        let pickle = Self.laughs(60)
        let graph = try PickleGraph(decoding: pickle)
        #expect(try graph.encoded(protocolVersion: 2).count < 400)
        do throws(PickleError) {
            _ = try PickleValue(decoding: pickle)
            Issue.record("built a tree")
        } catch {
            #expect(error.cause == .sharedTooOften)
        }
        #expect(Self.jsonCause(pickle, limit: 1000) == .outputTooLong)
    }

    @Test func `the tree limit holds exactly and fails by one`() {
        // Ten doublings: 2047 tuples in the tree, 11 nodes and the three singletons in the pickle.
        let pickle = Self.laughs(10)
        var limits = PickleLimits()
        limits.maximumTreeValues = 2047 - 14
        #expect((try? PickleValue(decoding: pickle, limits: limits)) != nil)
        limits.maximumTreeValues -= 1
        #expect((try? PickleValue(decoding: pickle, limits: limits)) == nil)
    }

    static func jsonCause(_ pickle: [UInt8], limit: Int) -> PickleJSONError.Cause? {
        pickle.withUnsafeBytes { jsonCause(of: $0, limit) }
    }

    private static func jsonCause(of bytes: UnsafeRawBufferPointer, _ limit: Int) -> PickleJSONError.Cause? {
        var document = PickleDocument()
        guard (try? document.parse(bytes)) != nil else { return nil }
        var writer = JSONWriter()
        var attachments: [PickleDocument.Node] = []
        var policy = PickleJSONPolicy()
        policy.maximumOutputBytes = limit
        do throws(PickleJSONError) {
            try document.writeJSON(document.root, to: &writer, attachments: &attachments, policy: policy)
            return nil
        } catch {
            return error.cause
        }
    }

    @Test func `JSON of a value that contains itself ends with an error`() {
        #expect(Self.jsonCause(Array("]q\0h\0a.".utf8), limit: 1 << 20) == .tooDeep)
        #expect(Self.jsonCause(Array("}q\0K\u{1}h\0s.".utf8), limit: 1 << 20) == .tooDeep)
    }

    @Test func `a thousand levels are compared, hashed, printed and released on a small stack`() throws {
        let pickle = [UInt8](repeating: 0x5d, count: 1000) + [UInt8](repeating: 0x61, count: 999) + [0x2e]
        let finished = DispatchSemaphore(value: 0)
        let thread = Thread {
            defer { finished.signal() }
            guard let one = try? PickleValue(decoding: pickle), let other = try? PickleValue(decoding: pickle) else {
                return
            }
            if one == other, one.hashValue == other.hashValue, one.description.count == 2000,
                (try? one.encoded())?.count ?? 0 > 2000
            {
                Thread.current.threadDictionary["done"] = true
            }
        }
        // Debug frames are several times those of a release build.
        thread.stackSize = 4 << 20
        thread.start()
        finished.wait()
        #expect(thread.threadDictionary["done"] as? Bool == true)
    }

    @Test func `a graph of a million levels is released without recursion`() throws {
        let pickle = [UInt8](repeating: 0x5d, count: 1_000_000) + [UInt8](repeating: 0x61, count: 999_999) + [0x2e]
        var limits = PickleLimits()
        limits.maximumDepth = .max
        var graph: PickleGraph? = try PickleGraph(decoding: pickle, limits: limits)
        #expect(graph.map { $0.elements(of: $0.root).count } == 1)
        graph = nil
        limits.maximumDepth = 999_999
        #expect(throws: PickleError.self) { try PickleGraph(decoding: pickle, limits: limits) }
    }

    @Test func `one list made a set again and again does not cost its square`() {
        // set(l) for the same list of 1000: more items copied than the pickle has bytes.
        var pickle = Array("(".utf8)
        for number in 0..<1000 { pickle += [0x4d, UInt8(number & 0xff), UInt8(number >> 8)] }
        pickle += Array("lq\0c__builtin__\nset\nq\u{1}".utf8)
        for _ in 0..<100 { pickle += Array("h\u{1}h\0\u{85}R".unicodeScalars.map { UInt8($0.value) }) }
        #expect(Self.cause(pickle + [0x2e]) { _ in } == .tooManyNodes)
    }

    @Test func `comparing dicts and sets nested a thousand deep takes linear time`() throws {
        // The same keys in another order at each level, with the deep value first: a comparison in order followed by
        // one without order would compare the deep value twice at each level.
        func nested(_ isSwapped: Bool) -> PickleValue {
            var value: PickleValue = [:]
            var set = PickleValue.frozenset([])
            for level in 0..<900 {
                value =
                    isSwapped
                    ? ["deep": value, "b": 1, "a": .int(level)] : ["deep": value, "a": .int(level), "b": 1]
                set = .frozenset(isSwapped ? [1, set] : [set, 1])
            }
            return [value, set]
        }
        let start = ThreadTime.now
        let one = nested(false)
        let other = nested(true)
        #expect(one == other)
        #expect(one.hashValue == other.hashValue)
        #expect(one != nested(false)[0])
        #expect(ThreadTime.now - start < ThreadTime.bound / 10)
    }

    @Test func `numbers of equal hash in Python do not make a dict slow`() throws {
        // Multiples of 2**61 - 1 all hash to 0 in CPython.
        var writer = PickleWriter(version: 2)
        writer.beginDict()
        for index in 0..<20_000 as Range<Int64> {
            writer.append(index &* 0x1fff_ffff_ffff_ffff)
            writer.append(index)
        }
        writer.endDict()
        writer.finish()
        let start = ThreadTime.now
        let graph = try PickleGraph(decoding: writer.copyBytes())
        #expect(graph.pairs(of: graph.root).count == 20_000)
        #expect(ThreadTime.now - start < ThreadTime.bound)
    }
}
