/// The pairs of a mapping by coding key.
struct KeyedValues<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let values: [String: PickleValue]
    private let numbers: [Int: PickleValue]
    private let names: [PickleCodingKey]
    private let decoder: ValueDecoder

    init(_ mapping: PickleDict, _ decoder: ValueDecoder) {
        var values: [String: PickleValue] = [:]
        var numbers: [Int: PickleValue] = [:]
        var names: [PickleCodingKey] = []
        for pair in mapping.pairs {
            if let text = pair.key.string {
                let name = Self.converted(text, decoder)
                values[name] = pair.value
                names.append(PickleCodingKey(stringValue: name))
            } else if let number = pair.key.int {
                numbers[number] = pair.value
                names.append(PickleCodingKey(intValue: number))
            }
        }
        self.values = values
        self.numbers = numbers
        self.names = names
        self.decoder = decoder
    }

    private static func converted(_ key: String, _ decoder: ValueDecoder) -> String {
        switch decoder.settings.keyDecodingStrategy {
        case .useDefaultKeys: key
        case .convertFromSnakeCase: SnakeCase.camel(key)
        case .custom(let convert): convert(decoder.codingPath, key)
        }
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var allKeys: [Key] {
        names.compactMap { name in name.intValue.flatMap { Key(intValue: $0) } ?? Key(stringValue: name.stringValue) }
    }

    private func find(_ key: Key) -> PickleValue? {
        values[key.stringValue] ?? key.intValue.flatMap { numbers[$0] }
    }

    func contains(_ key: Key) -> Bool { find(key) != nil }

    private func nested(_ key: Key) throws -> ValueDecoder {
        guard let value = find(key) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "no key \"\(key.stringValue)\" in the dict"))
        }
        return ValueDecoder(value: value, codingPath: codingPath + [key], settings: decoder.settings)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try nested(key).decodeNil() }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try nested(key).decode(type) }

    func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Inner> {
        try nested(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try nested(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        ValueDecoder(
            value: values["super"] ?? .null, codingPath: codingPath + [PickleCodingKey(stringValue: "super")],
            settings: decoder.settings)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
}

/// The items of a sequence in order.
struct UnkeyedValues: UnkeyedDecodingContainer {
    let items: [PickleValue]
    let decoder: ValueDecoder
    private(set) var currentIndex = 0

    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { items.count }
    var isAtEnd: Bool { currentIndex >= items.count }

    private func current(_ type: Any.Type) throws -> ValueDecoder {
        let path = codingPath + [PickleCodingKey(intValue: currentIndex)]
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                type, .init(codingPath: path, debugDescription: "the sequence has \(items.count) items"))
        }
        return ValueDecoder(value: items[currentIndex], codingPath: path, settings: decoder.settings)
    }

    mutating func decodeNil() throws -> Bool {
        guard try current(Never.self).decodeNil() else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try current(type).decode(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let container = try current(type).container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try current([Any].self).unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let value = try current((any Decoder).self)
        currentIndex += 1
        return value
    }
}

/// Conversion between Python's and Swift's spelling of names.
enum SnakeCase {
    /// `skip_sid` to `skipSid`; underscores at either end stay.
    static func camel(_ text: String) -> String {
        let characters = Array(text)
        guard let first = characters.firstIndex(where: { $0 != "_" }),
            let last = characters.lastIndex(where: { $0 != "_" })
        else { return text }
        var result = String(characters[..<first])
        var isNewWord = false
        for character in characters[first...last] {
            if character == "_" {
                isNewWord = true
            } else {
                result += isNewWord ? character.uppercased() : String(character)
                isNewWord = false
            }
        }
        return result + String(characters[(last + 1)...])
    }

    /// `skipSid` to `skip_sid`, `hostURLPath` to `host_url_path`.
    static func snake(_ text: String) -> String {
        let characters = Array(text)
        var result = ""
        for (index, character) in characters.enumerated() {
            if character.isUppercase, index > 0, characters[index - 1] != "_" {
                let followsLower = !characters[index - 1].isUppercase
                let precedesLower = index + 1 < characters.count && characters[index + 1].isLowercase
                if followsLower || precedesLower { result += "_" }
            }
            result += character.lowercased()
        }
        return result
    }
}
