import Foundation
import Testing

@testable import PickleCodec

/// Values that contain themselves, written at every protocol and read by CPython: one object stays one object.
@Suite struct RecursiveGraphTests {
    /// Python: a class with its own `__reduce__`, the values, and a normal form for the comparison of two graphs.
    private static let library = """
        import base64, collections, pickle, sys
        class Node:
            def __init__(self, *a): self.args = a
        class Made(Node):
            def __reduce_ex__(self, p): return Made, self.args, self.__dict__.get("state"), iter(self.__dict__.get("items", ())), iter(self.__dict__.get("pairs", ()))
            def append(self, x): self.__dict__.setdefault("items", []).append(x)
            def extend(self, x): [self.append(y) for y in x]
            def __setitem__(self, k, v): self.__dict__.setdefault("pairs", []).append((k, v))
            def __setstate__(self, s): self.state = s
        class Plain:
            pass
        class New(tuple):
            def __getnewargs__(self): return (tuple(self),)
        class Keyed:
            def __new__(cls, *a, **k): o = object.__new__(cls); o.a, o.k = a, k; return o
            def __getnewargs_ex__(self): return self.a, self.k
            def __getstate__(self): return None
        def form(value):
            seen, out, queue = {}, [], [value]
            def ref(v):
                if v is None or isinstance(v, (int, float, str, bytes)): return repr(v)
                if isinstance(v, (tuple, frozenset)) and not v and type(v) in (tuple, frozenset): return repr(v)
                if id(v) not in seen: seen[id(v)] = (len(seen), v); queue.append(v)
                return "#%d" % seen[id(v)][0]
            ref(value); queue.pop(0)
            while queue:
                v = queue.pop(0)
                out.append(type(v).__name__)
                if isinstance(v, (list, tuple)): out.append([ref(x) for x in v])
                elif isinstance(v, (set, frozenset)): out.append([ref(x) for x in sorted(v, key=lambda x: type(x).__name__)])
                elif isinstance(v, dict): out.append([(ref(k), ref(x)) for k, x in v.items()])
                if hasattr(v, "__dict__"): out.append([(k, ref(x)) for k, x in sorted(v.__dict__.items())])
            return repr(out)
        def values():
            l = []; t = (l,); l.append(t); yield "tuple in list", t
            l = []; t = (l,); l.append(t); yield "list in tuple", l
            for n in (2, 3, 4, 5):
                l = []; t = (l,) + tuple(range(n - 1)); l.append(t); yield "tuple of %d" % n, t
                l = []; t = tuple("x" * n) + (l,); l.extend([1, t, t]); yield "tuple of %d, last" % n, t
            l = []; t = (l, l); l.append(t); yield "twice in a tuple", t
            d = {}; t = (d,); d["t"] = t; yield "tuple in dict", t
            d = {}; t = (1, (2, d)); d[1] = t; d[2] = t[1]; yield "tuple in tuple in dict", t
            a, b = [], []; t = (a, b); u = (b, a); a.append(u); b.append(t); yield "two tuples through each other", t
            l = []; l.append(l); yield "list in itself", l
            d = {}; d["d"] = d; yield "dict in itself", d
            n = Plain(); n.me = n; yield "object in its state", n
            n = Plain(); t = (n,); n.t = t; yield "tuple in an object's state", t
            n = Plain(); f = frozenset([n]); n.f = f; yield "frozenset in its element's state", f
            n = Plain(); f = frozenset([n, "a"]); t = (f, n); n.t = t; n.f = f; yield "tuple of frozenset", t
            n = Plain(); s = {n}; n.s = s; yield "set in its element's state", s
            n = Plain(); s = {n}; n.s = s; yield "element of a set in its state", n
            n = Plain(); k = (n,); d = {k: n}; n.d = d; n.k = k; yield "tuple as key", k
            n = Plain(); k = (n,); d = {k: n}; n.d = d; n.k = k; yield "dict with itself in its key", d
            l = []; m = Made(l); l.append(m); yield "object in its argument", m
            l = []; m = Made(l); l.append(m); yield "object in its argument, from within", l
            l = []; m = Made((l, 1), l); l.append((m, m)); yield "object in a tuple of its arguments", m
            m = Made(); m.append(m); yield "object in its items", m
            m = Made(); m[1] = m; m["k"] = (m,); yield "object in its pairs", m
            m = Made(1); m.state = (m, [m]); yield "object in its given state", m
            l = []; m = Made(l); t = (m, l); l.append(t); m.state = t; m.append(t); yield "object everywhere", t
            l = []; n = New((l, 2)); l.append(n); yield "subclass of tuple", n
            l = []; n = New((l, 2)); l.append(n); yield "subclass of tuple, from within", l
            l = []; k = Keyed(1, l, a=l); l.append(k); yield "keyword arguments", k
            d = collections.defaultdict(list); d["d"].append(d); yield "defaultdict", d
            q = collections.deque(); q.append((q,)); yield "deque", q
            o = collections.OrderedDict(); o["o"] = (o, [o]); yield "OrderedDict", o
            l = [bytearray(b"x")]; t = (l, l[0], b"y", b"y"); l.append(t); yield "bytes beside", t
        """

    @Test func `a value that contains itself comes back as it is at every protocol`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("recursive-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.library.write(to: folder.appendingPathComponent("recursive.py"), atomically: true, encoding: .utf8)
        let head = "import sys; sys.path.insert(0, \(Self.quoted(folder.path))); from recursive import *\n"
        let (status, output) = try PickleEncodeFixtureTests.run(
            python,
            [
                "-c",
                head + """
                    for name, value in values():
                        # Below protocol 2 CPython itself forgets keyword arguments.
                        for protocol in range(2 if name == "keyword arguments" else 0, 6):
                            print(name, protocol, base64.b64encode(pickle.dumps(value, protocol)).decode(), sep="\\t")
                    """,
            ])
        #expect(status == 0, "\(output.suffix(800))")
        var answers = ""
        var count = 0
        for line in output.split(separator: "\n") {
            let parts = line.split(separator: "\t").map(String.init)
            try #require(parts.count == 3, "\(line)")
            let graph = try PickleGraph(decoding: FixtureRecord.bytes(parts[2]))
            for version in 0...5 {
                count += 1
                do {
                    let pickle = try graph.encoded(protocolVersion: version)
                    answers += "\(parts[0])\t\(parts[1])\t\(version)\t\(Data(pickle).base64EncodedString())\n"
                    let again = try PickleGraph(decoding: pickle).encoded(protocolVersion: version)
                    let third = try PickleGraph(decoding: again).encoded(protocolVersion: version)
                    #expect(again == third, "\(parts[0]), protocol \(version)")
                } catch {
                    Issue.record("\(parts[0]), read at protocol \(parts[1]), written at \(version): \(error)")
                }
            }
        }
        #expect(count > 1000)
        let file = folder.appendingPathComponent("answers.txt")
        try answers.write(to: file, atomically: true, encoding: .utf8)
        let (judged, verdict) = try PickleEncodeFixtureTests.run(
            python,
            [
                "-c",
                head + """
                    wanted = {name: form(value) for name, value in values()}
                    for line in open(sys.argv[1]):
                        name, read, written, data = line.rstrip("\\n").split("\\t")
                        for loads in pickle.loads, pickle._loads:
                            try: got = form(loads(base64.b64decode(data)))
                            except Exception as e: got = repr(e)
                            if got != wanted[name]: print(name, read, written, loads.__module__, got, wanted[name])
                    """, file.path,
            ])
        #expect(judged == 0 && verdict.isEmpty, "\(verdict.prefix(6000))")
        print("recursive values: \(count) written, judged by CPython's two unpicklers")
    }

    private static func quoted(_ text: String) -> String { "'" + text + "'" }
}
