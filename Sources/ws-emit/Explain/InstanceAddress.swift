import ArgumentParser
import Bridge
import NIOCore

/// Where a running ws-emit may be asked.
struct InstanceAddress: Equatable {
    let host: String
    let port: Int
    /// As the operator knows it.
    let name: String
    /// The public address, which asks for the secret of `POST /emit`; else it is the one for operators.
    var isPublic = false
    var secret: String?

    /// Why none could be asked.
    struct Failure: Error {
        let finding: Diagnosis.Finding

        /// One JSON object, with the keys of a diagnosis that say something.
        var json: String { JSONValue.object([("findings", .list([finding.json])), ("notes", .list([]))]).line }
    }

    /// The addresses to try, one after the other.
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
                throw ValidationError("--url \(url) is no http:// address; ask ws-emit itself, not a proxy with TLS")
            }
            var authority = String(url.dropFirst("http://".count).prefix { $0 != "/" })
            if authority.last != "]", !authority.contains(":") || authority.hasSuffix("]") { authority += ":80" }
            let (host, port) = try address(authority, "--url")
            return [InstanceAddress(host: host, port: port, name: url, isPublic: true, secret: secret)]
        }
        var (host, port) = try address(environment.value("ADDRESS") ?? "0.0.0.0:8899", "ADDRESS")
        // It listens everywhere: here, too.
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

    /// Asks the first that answers.
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
        /// Why nothing came, as a clause.
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

    /// The one sentence when nobody answered: about the last address that somebody listens at.
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
                advice: "Is it running, and is that its address? Its log says \"ws-emit started on …\";"
                    + " name another one with --admin-address, or --url and --secret.")
        }
        let howToAsk =
            "Give ws-emit an --admin-address (ADMIN_ADDRESS in /etc/default/ws-emit) and explain the same one, or --url and"
            + " the --secret of POST /emit."
        if status == 403, address.isPublic, address.secret == nil {
            return Diagnosis.Finding(
                code: "no_secret", sentence: "ws-emit at \(address.name) answers only who knows its secret.",
                advice: howToAsk)
        }
        if status == 403 {
            return Diagnosis.Finding(
                code: "wrong_secret", sentence: "ws-emit at \(address.name) refuses to answer: it has another secret.",
                advice: howToAsk)
        }
        return Diagnosis.Finding(
            code: "cannot_ask",
            sentence:
                "The server at \(address.name) says \(status) to /explain: it is no ws-emit, has no secret, or keeps"
                + " this for another address.",
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
