import Bytes

extension RoomRule {
    /// Reads `ROOM option…`.
    ///
    /// - Parameter defaults: the values of options that a rule with `keep` leaves out.
    /// - Parameter isKeepImplied: the rule keeps messages, unless it says no.
    /// - Returns: nil for a line without a rule.
    convenience init?(_ line: String, place: String, isKeepImplied: Bool, defaults: KeepRule) throws(RuleError) {
        let line = RuleWords(line)
        func wrong(_ cause: String) -> RuleError { RuleError(place: place, cause: cause) }
        guard !line.isQuoteOpen else {
            throw wrong("a double quote isn't closed: put one at the end of the name, or \\\" for a quote in a name")
        }
        guard let room = line.words.first else { return nil }
        guard !room.isEmpty else { throw wrong("the room is empty: write its name or a pattern, such as shop:*") }
        if let name = Option.name(of: room), Option(rawValue: name) != nil {
            throw wrong("the rule begins with \(Self.shown(room)): write its rooms before it, such as shop:* or *")
        }
        do {
            var options = Options(defaults)
            for word in line.words.dropFirst() { try options.take(word) }
            try options.finish(isKeepImplied: isKeepImplied)
            let pattern = GlobPattern(room)
            if case .yes(var keep) = options.keep {
                keep.leavesOutSids = pattern.matchesEverything
                options.keep = .yes(keep)
            }
            self.init(
                room: pattern, event: options.event, namespace: options.namespace ?? GlobPattern("/"),
                keep: options.keep, slow: options.slow, key: options.key, place: place)
        } catch {
            throw wrong(error.cause)
        }
    }

    /// A word of the line, for messages.
    private static func shown(_ word: String) -> String { PrintableText.line(word) }

    private enum Option: String, CaseIterable {
        case event, namespace, keep, key, values, bytes, slow

        /// The text before the `=`; nil without one.
        static func name(of word: String) -> String? { word.firstIndex(of: "=").map { String(word[..<$0]) } }
    }

    private struct Mistake: Error {
        let cause: String
    }

    /// The options of a line.
    private struct Options {
        var event: GlobPattern?
        var namespace: GlobPattern?
        var keep: Keeping?
        var slow: SlowClientPolicy?
        var key: JSONPointer? { keepRule.key }
        private var keepRule: KeepRule
        private var given: Set<Option> = []

        init(_ defaults: KeepRule) { keepRule = defaults }

        mutating func take(_ word: String) throws(Mistake) {
            let name = Option.name(of: word)
            guard let option = Option(rawValue: name ?? word) else {
                throw Mistake(
                    cause:
                        "\(shown(word)) is no option of a rule: use event=, namespace=, keep, key=, values=, bytes= or "
                        + "slow=" + (name == nil ? ", and put names with blanks in double quotes" : ""))
            }
            guard given.insert(option).inserted else {
                throw Mistake(cause: "the rule has \(option) twice: one is possible")
            }
            guard let name else {
                guard option == .keep else { throw Mistake(cause: "\(option) has no value: \(Self.advice(option))") }
                keep = .yes(keepRule)
                return
            }
            let value = String(word.dropFirst(name.count + 1))
            guard !value.isEmpty else { throw Mistake(cause: "\(option)= has no value: \(Self.advice(option))") }
            guard set(option, to: value) else {
                throw Mistake(cause: "\(shown(word)) is \(Self.flaw(option)): \(Self.advice(option))")
            }
        }

        /// False if the value is wrong.
        private mutating func set(_ option: Option, to value: String) -> Bool {
            switch option {
            case .event: event = GlobPattern(value)
            case .namespace:
                let pattern = GlobPattern(value)
                namespace = pattern
                return pattern.canBegin(with: UInt8(ascii: "/"))
            case .keep where value == "no": keep = .no
            case .keep:
                guard let age = Duration(text: value), BridgeLimits.keepAges.contains(age) else { return false }
                keepRule.age = age
                keep = .yes(keepRule)
            case .key:
                guard let pointer = JSONPointer(value) else { return false }
                keepRule.key = pointer
            case .values:
                guard let count = Int(value), BridgeLimits.keepRoomValues.contains(count) else { return false }
                keepRule.maxValues = count
            case .bytes:
                guard let count = Int(byteCount: value), BridgeLimits.keepRoomBytes.contains(count) else {
                    return false
                }
                keepRule.maxBytes = count
            case .slow:
                slow = SlowClientPolicy(rawValue: value)
                return slow != nil
            }
            return true
        }

        /// Checks the options together.
        mutating func finish(isKeepImplied: Bool) throws(Mistake) {
            let keepsNone = keep == .no || keep == nil && !isKeepImplied
            if keepsNone, given.contains(.key), slow != .latest {
                throw Mistake(
                    cause: "key= says which messages take one another's place, and the rule has neither keep nor "
                        + "slow=latest: add one, or leave key= out")
            }
            if keepsNone, let refinement = [Option.values, .bytes].first(where: { given.contains($0) }) {
                throw Mistake(
                    cause: "\(refinement)= says how messages are kept, and the rule keeps none: add keep, or leave "
                        + "\(refinement)= out")
            }
            // Its refinements may stand behind `keep`.
            if !keepsNone { keep = .yes(keepRule) }
            if keep == nil, slow == nil {
                throw Mistake(cause: "the rule says nothing of its rooms: add keep, keep=no or slow=")
            }
        }

        private static func flaw(_ option: Option) -> String {
            switch option {
            case .event, .namespace: "no namespace, since they begin with /"
            case .keep: "no time from 50ms to \(BridgeLimits.keepAges.upperBound.components.seconds / 86_400)d"
            case .key: "no JSON pointer"
            case .values:
                "no whole number from \(BridgeLimits.keepRoomValues.lowerBound) to \(BridgeLimits.keepRoomValues.upperBound)"
            case .bytes: "no size from 1 to \(BridgeLimits.keepRoomBytes.upperBound >> 30)G"
            case .slow: "no policy"
            }
        }

        private static func advice(_ option: Option) -> String {
            switch option {
            case .event: "write an event or a pattern, such as event=price"
            case .namespace: "write one or a pattern, such as namespace=/chat or namespace=*"
            case .keep: "use keep, keep=no or a time, such as keep=90s, keep=1h or keep=7d"
            case .key:
                "write the place of the key in the event's data, such as key=/sku, with ~1 for / and ~0 for ~ in a key"
            case .values: "write how many messages of a room are kept, such as values=100"
            case .bytes: "write a size, such as bytes=65536, bytes=64K or bytes=1M"
            case .slow: "use \(SlowClientPolicy.names)"
            }
        }
    }
}

extension SlowClientPolicy {
    /// `disconnect, drop-oldest or latest`.
    fileprivate static var names: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }
}
