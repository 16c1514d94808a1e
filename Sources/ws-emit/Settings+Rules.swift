import Bridge
import Glibc

extension Settings {
    /// Reads the rules of `--keep` and `--rules`, or of their variables.
    mutating func takeRules(_ command: WSEmitCommand, _ environment: Environment) throws(SettingsError) {
        var sources: [RoomRules.Source] = []
        let texts = command.keep.isEmpty ? environment.value("KEEP").map { [$0] } ?? [] : command.keep
        let name = command.keep.isEmpty ? "KEEP" : "--keep"
        for text in texts {
            sources.append(RoomRules.Source(name: name, text: Array(text.utf8), isKeepImplied: true))
        }
        if let file = environment.setting(command.rules, "--rules", "RULES") { sources.append(try Self.rules(file)) }
        do {
            bridge.rules = try RoomRules(sources, configuration: bridge)
        } catch {
            throw SettingsError(sentences: error.errors.map(\.description))
        }
        warnings += bridge.rules.warnings(keepBytes: bridge.keepBytes)
    }

    private static func rules(_ setting: Setting) throws(SettingsError) -> RoomRules.Source {
        let path = setting.text
        guard let file = unsafe fopen(path, "re") else {
            throw unsafe SettingsError(
                description: "\(setting.name) \(path) can't be read: \(String(cString: strerror(errno)))")
        }
        defer { unsafe fclose(file) }
        // One byte more than possible shows that the file is too large. A pipe has no size to ask for.
        var bytes = [UInt8](repeating: 0, count: BridgeLimits.ruleFileBytes + 1)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        guard unsafe ferror(file) == 0 else {
            throw unsafe SettingsError(
                description: "\(setting.name) \(path) can't be read: \(String(cString: strerror(errno)))")
        }
        return RoomRules.Source(name: path, text: Array(bytes.prefix(count)), isKeepImplied: false)
    }
}
