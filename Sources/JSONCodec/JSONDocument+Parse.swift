extension JSONDocument {
    /// Parses one text.
    ///
    /// Accepts the same texts as Python's `json.loads(bytes)`: UTF-8 with or without a byte order mark, UTF-16 and UTF-32,
    /// white space around the value, `NaN`, `Infinity`, `-Infinity`, raw surrogates (WTF-8). Linear in the input;
    /// nesting costs no stack.
    ///
    /// - Parameter bytes: must stay valid until the next call, because strings and numbers stay there. So they are no span,
    ///   which ends with the call.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        nodes.shrink(to: 1 << 16)
        openContainers.shrink(to: 1 << 10)
        let limit = min(limits.maximumBytes, Int(Int32.max))
        guard bytes.count <= limit else { throw JSONError(.tooLong(limit: limit), at: limit) }
        unsafe text = try unsafe utf8(bytes)
        var scanner = unsafe JSONScanner(text: text, maximumIntegerCharacters: limits.maximumIntegerDigits)
        do throws(JSONError) {
            let depth = try parseValues(&scanner)
            openContainers.reserve(depth * 2)
            scanner.skipWhitespace()
            guard unsafe scanner.index == text.count else { throw JSONError(.trailingData, at: scanner.index) }
        } catch {
            nodes.shrink(to: 1 << 16)
            throw error
        }
    }

    /// The root and everything in it; returns the greatest depth. An open container's link names its parent, so no
    /// stack is needed.
    private mutating func parseValues(_ scanner: inout JSONScanner) throws(JSONError) -> Int {
        let none = UInt32.max
        var open = none
        var depth = 0
        var greatestDepth = 0
        while true {
            scanner.skipWhitespace()
            let index = UInt32(truncatingIfNeeded: nodes.count)
            try append(try scanner.scanValue(index: index))
            let kind = unsafe nodes.base[Int(index)].kind
            var isComplete = true
            if kind == .array || kind == .object {
                unsafe nodes.base[Int(index)].link = open
                open = index
                depth += 1
                greatestDepth = max(greatestDepth, depth)
                guard depth <= limits.maximumDepth else {
                    throw JSONError(.tooDeep(limit: limits.maximumDepth), at: scanner.index - 1)
                }
                scanner.skipWhitespace()
                if scanner.peek() == (kind == .array ? UInt8(ascii: "]") : UInt8(ascii: "}")) {
                    scanner.index += 1
                    open = close(open, at: scanner.index)
                    depth -= 1
                } else {
                    isComplete = false
                    if kind == .object { try parseKey(&scanner, expected: .keyOrEnd) }
                }
            }
            // After a value: any number of closing brackets, then a comma or the end.
            while isComplete {
                guard open != none else { return greatestDepth }
                scanner.skipWhitespace()
                let isArray = unsafe nodes.base[Int(open)].kind == .array
                let byte = scanner.peek()
                if byte == UInt8(ascii: ",") {
                    scanner.index += 1
                    if !isArray {
                        scanner.skipWhitespace()
                        try parseKey(&scanner, expected: .key)
                    }
                    isComplete = false
                } else if byte == (isArray ? UInt8(ascii: "]") : UInt8(ascii: "}")) {
                    scanner.index += 1
                    open = close(open, at: scanner.index)
                    depth -= 1
                } else {
                    throw scanner.unexpected(isArray ? .commaOrEndOfArray : .commaOrEndOfObject)
                }
            }
        }
    }

    private mutating func parseKey(_ scanner: inout JSONScanner, expected: JSONError.Expectation) throws(JSONError) {
        guard scanner.peek() == UInt8(ascii: "\"") else { throw scanner.unexpected(expected) }
        try append(try scanner.scanString(index: UInt32(truncatingIfNeeded: nodes.count)))
        scanner.skipWhitespace()
        guard scanner.peek() == UInt8(ascii: ":") else { throw scanner.unexpected(.colon) }
        scanner.index += 1
    }

    private mutating func append(_ node: JSONTapeNode) throws(JSONError) {
        guard nodes.count < limits.maximumNodes else {
            throw JSONError(.tooManyNodes(limit: limits.maximumNodes), at: Int(node.offset))
        }
        nodes.append(node)
    }

    /// Ends a container before the byte `end` and returns its parent.
    private mutating func close(_ container: UInt32, at end: Int) -> UInt32 {
        let entry = unsafe nodes.base + Int(container)
        let parent = unsafe entry.pointee.link
        unsafe entry.pointee.link = UInt32(truncatingIfNeeded: nodes.count)
        unsafe entry.pointee.length = unsafe UInt32(truncatingIfNeeded: end) - entry.pointee.offset
        if unsafe entry.pointee.kind == .object { resolveDuplicates(in: container) }
        return parent
    }
}
