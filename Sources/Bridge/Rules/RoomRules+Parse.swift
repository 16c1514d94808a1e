import Bytes

extension RoomRules {
    /// A text with rules, one a line.
    package struct Source: Sendable {
        let name: String
        let text: [UInt8]
        let isKeepImplied: Bool

        /// - Parameter name: the file, option or variable, for messages.
        /// - Parameter isKeepImplied: its rules keep messages, unless they say no.
        package init(name: String, text: [UInt8], isKeepImplied: Bool) {
            (self.name, self.text, self.isKeepImplied) = (name, text, isKeepImplied)
        }
    }

    /// Reads all rules, in the order of the sources. All wrong lines are reported, up to a number of them.
    package init(_ sources: [Source], configuration: BridgeConfiguration) throws(RuleErrors) {
        var rules: [RoomRule] = []
        var errors: [RuleError] = []
        for source in sources {
            Self.read(source, configuration.keepDefaults, &rules, &errors)
        }
        guard errors.isEmpty else { throw RuleErrors(errors: errors) }
        self.init(rules)
    }

    private static func read(
        _ source: Source, _ defaults: KeepRule, _ rules: inout [RoomRule], _ errors: inout [RuleError]
    ) {
        guard source.text.count <= BridgeLimits.ruleFileBytes else {
            let limit = BridgeLimits.ruleFileBytes >> 20
            errors.append(RuleError(place: source.name, cause: "it is larger than \(limit) MiB: write one rule a line"))
            return
        }
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = source.text.starts(with: byteOrderMark) ? source.text.dropFirst(3) : source.text[...]
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let rulesBefore = rules.count
        var wrongLines = 0
        for (index, bytes) in lines.enumerated() {
            let place = lines.count == 1 && source.isKeepImplied ? source.name : "\(source.name):\(index + 1)"
            do throws(RuleError) {
                let line = try line(bytes, place)
                guard
                    let rule = try RoomRule(
                        line, place: place, isKeepImplied: source.isKeepImplied, defaults: defaults)
                else { continue }
                rules.append(rule)
                if rules.count > BridgeLimits.rules {
                    errors.append(
                        RuleError(
                            place: place,
                            cause:
                                "this is rule \(rules.count), and at most \(BridgeLimits.rules) are possible: use patterns"
                        ))
                    return
                }
            } catch {
                wrongLines += 1
                if wrongLines <= BridgeLimits.shownRuleErrors { errors.append(error) }
            }
        }
        if source.isKeepImplied, rules.count == rulesBefore, wrongLines == 0 {
            errors.append(
                RuleError(
                    place: source.name,
                    cause:
                        "there is no rule: write rooms, such as 'shop:*'; a name that begins with # needs double quotes"
                ))
        }
        if wrongLines > BridgeLimits.shownRuleErrors {
            let more = wrongLines - BridgeLimits.shownRuleErrors
            errors.append(RuleError(place: source.name, cause: "\(more) more lines are wrong"))
        }
    }

    /// The text of a line.
    private static func line(_ bytes: ArraySlice<UInt8>, _ place: String) throws(RuleError) -> String {
        guard bytes.count <= BridgeLimits.ruleLineBytes else {
            throw RuleError(
                place: place,
                cause: "the line has \(bytes.count) bytes, and at most \(BridgeLimits.ruleLineBytes) are possible: "
                    + "write one rule a line")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RuleError(place: place, cause: "the line isn't UTF-8: save the file in this encoding")
        }
        return text.hasSuffix("\r") ? String(text.unicodeScalars.dropLast()) : text
    }

    /// Rules that are probably mistakes, for the log.
    ///
    /// - Parameter keepBytes: the bound of all kept messages.
    package func warnings(keepBytes: Int) -> [String] {
        var warnings: [String] = []
        if keepsAny, keepBytes == 0 { warnings.append("rules keep messages, and --keep-bytes 0 turns that off") }
        for (index, rule) in rules.enumerated() {
            if case .yes = rule.keep, rule.isForAllMessages, keepBytes > 0 {
                warnings.append(
                    "\(rule.place): the rule keeps messages of all rooms and events, up to \(keepBytes) bytes of memory "
                        + "(--keep-bytes); name rooms or events, such as shop:* or event=price")
            }
            let keep = rule.keep == nil ? nil : rules[..<index].first { $0.keep != nil && $0.covers(rule) }
            let slow = rule.slow == nil ? nil : rules[..<index].first { $0.slow != nil && $0.covers(rule) }
            guard let decisive = keep ?? slow, (rule.keep == nil) == (keep == nil), (rule.slow == nil) == (slow == nil)
            else { continue }
            warnings.append(
                "\(rule.place): the rule has no effect, because \(decisive.place) decides on all its messages before; "
                    + "put the narrower rule first")
        }
        let more = warnings.count - BridgeLimits.shownRuleErrors
        return more > 0 ? warnings.dropLast(more) + ["\(more) more rules are probably mistakes"] : warnings
    }
}
