/// The user whose rights the server checks, and the command that gives missing ones.
struct RedisRights: Sendable {
    /// Nil for the default user.
    var user: [UInt8]?
    var channels: [String] = []

    /// The keys and commands of the scripts that store kept messages.
    private static let evaluate =
        ["~{ws-emit:kept:*"]
        + [
            "eval", "exists", "get", "set", "del", "pttl", "pexpire", "hset", "hdel", "hscan", "hget", "hstrlen",
        ].map { "+\($0)" }

    /// The error for a command that the server refused, with advice if rights are missing.
    func refusal(of command: RedisError.Command, _ message: String) -> RedisError {
        .refused(command: command, message: message + advice(for: command, refusedWith: message))
    }

    /// How to give the user its rights; empty for other refusals, and for commands that we can do without.
    func advice(for command: RedisError.Command, refusedWith message: String) -> String {
        // In a script, a refused command has another error in each release.
        let isOfScript = message.contains("ACL failure in script") || message.contains("user executing the script")
        guard message.hasPrefix("NOPERM") || isOfScript else { return "" }
        let rules: [String]
        switch command {
        case .subscribe, .publish:
            guard !channels.isEmpty else { return "" }
            rules = channels.map { "&\($0)" } + ["+@pubsub", "+ping"]
        case .get: rules = ["~ws-emit::*", "+get", "+getrange"]
        case .evaluate: rules = Self.evaluate
        case .select: rules = ["+select"]
        default: return ""
        }
        let name = user.map { String(decoding: $0, as: UTF8.self) } ?? "default"
        let words = ["redis-cli", "ACL", "SETUSER", name] + rules
        return "; permit it with: " + words.map(Self.shellWord).joined(separator: " ")
    }

    private static func shellWord(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || "+-_.@".utf8.contains($0)
        }
        return isPlain
            ? text : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
