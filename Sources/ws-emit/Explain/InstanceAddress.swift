import ArgumentParser
import Bridge
import NIOCore

/// An address at which to ask a running ws-emit.
struct InstanceAddress: Equatable {
    let host: String
    let port: Int
    /// The operator's name for it.
    let name: String
    /// True for the public address, which requires the secret of `POST /emit`; false for the admin address.
    var isPublic = false
    var secret: String?

    /// No address could be asked.
    struct Failure: Error {
        let finding: Diagnosis.Finding

        /// One JSON object, with the applicable keys of a diagnosis.
        var json: String { JSONValue.object([("findings", .list([finding.json])), ("notes", .list([]))]).line }
    }

    /// The addresses to try in turn.
    static func candidates(
        adminAddress: String?, url: String?, secret: String?, environment: Environment
    ) throws(ValidationError) -> [InstanceAddress] {
        let secret = secret ?? environment.value("SECRET")
        if let adminAddress {
            guard url == nil else { throw ValidationError("give --admin-address or --url, not both") }
            return [try admin(adminAddress, "--admin-address")]
        }
        if let url {
            guard url.hasPrefix("http://") else {
                throw ValidationError("--url \(url) is not an http:// address; ask ws-emit itself, not a TLS proxy")
            }
            var authority = String(url.dropFirst("http://".count).prefix { $0 != "/" })
            if authority.last != "]", !authority.contains(":") || authority.hasSuffix("]") { authority += ":80" }
            let (host, port) = try address(authority, "--url")
            return [InstanceAddress(host: host, port: port, name: url, isPublic: true, secret: secret)]
        }
        var (host, port) = try address(environment.value("ADDRESS") ?? "0.0.0.0:8899", "ADDRESS")
        // It listens on all addresses, including this one.
        host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        let name = "http://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
        return [
            try admin(environment.value("ADMIN_ADDRESS") ?? "127.0.0.1:8898", "ADMIN_ADDRESS"),
            InstanceAddress(host: host, port: port, name: name, isPublic: true, secret: secret),
        ]
    }

    private static func admin(_ text: String, _ option: String) throws(ValidationError) -> InstanceAddress {
        let (host, port) = try address(text, option)
        return InstanceAddress(host: host, port: port, name: text)
    }

    private static func address(
        _ text: String, _ option: String
    ) throws(ValidationError) -> (host: String, port: Int) {
        do throws(SettingsError) {
            return try Settings.address(text, option: option)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    // MARK: Asking

    /// Asks the addresses in turn, until one has the facts.
    static func ask(
        _ addresses: [InstanceAddress], room: String, namespace: String, _ group: any EventLoopGroup
    ) async throws(Failure) -> (InstanceAddress, InstanceFacts) {
        var replies: [(InstanceAddress, Reply)] = []
        for address in addresses {
            let reply = await address.ask(room: room, namespace: namespace, group)
            if case .facts(let facts) = reply { return (address, facts) }
            replies.append((address, reply))
        }
        throw Failure(finding: finding(for: replies))
    }

    enum Reply {
        case facts(InstanceFacts)
        case status(Int)
        /// Why there is no response, as a clause.
        case nothing(String)
    }

    private func ask(room: String, namespace: String, _ group: any EventLoopGroup) async -> Reply {
        let path = "/explain?room=\(Self.encoded(room))&namespace=\(Self.encoded(namespace))"
        do throws(AdminClient.Failure) {
            let answer = try await AdminClient.get(path, host: host, port: port, bearer: secret, group: group)
            if answer.status == 200, let facts = InstanceFacts(answer.body) { return .facts(facts) }
            return .status(answer.status)
        } catch {
            return .nothing("\(error)")
        }
    }

    /// The sentence if no address had the facts: about the last address with a server.
    static func finding(for replies: [(address: InstanceAddress, reply: Reply)]) -> Diagnosis.Finding {
        let spoken = replies.last {
            if case .status = $0.reply { true } else { false }
        }
        guard let (address, reply) = spoken, case .status(let status) = reply else {
            let tried = replies.map { address, reply in
                guard case .nothing(let cause) = reply else { return address.name }
                return "\(address.name) (\(cause))"
            }
            return Diagnosis.Finding(
                code: "unreachable", sentence: "ws-emit can't be reached at \(tried.joined(separator: " and ")).",
                advice: "Is it running, and is that its address? Its log says \"ws-emit started on …\"."
                    + " Name another address with --admin-address, or with --url and --secret.")
        }
        let howToAsk =
            "Give ws-emit and explain the same --admin-address (ADMIN_ADDRESS in /etc/default/ws-emit), or give explain"
            + " --url and the --secret of POST /emit."
        if status == 403, address.isPublic, address.secret == nil {
            return Diagnosis.Finding(
                code: "no_secret", sentence: "ws-emit at \(address.name) requires its secret.",
                advice: howToAsk)
        }
        if status == 403 {
            return Diagnosis.Finding(
                code: "wrong_secret", sentence: "ws-emit at \(address.name) refuses the secret: it has another one.",
                advice: howToAsk)
        }
        return Diagnosis.Finding(
            code: "cannot_ask",
            sentence:
                "The server at \(address.name) responds \(status) to /explain: it is not a ws-emit, has no secret, or"
                + " serves it at another address.",
            advice: howToAsk)
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let isPlain =
                Character(UnicodeScalar(byte)).isASCII && Character(UnicodeScalar(byte)).isLetter
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            let digits = String(byte, radix: 16)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count == 1 ? "0" : "") + digits
        }
    }
}
