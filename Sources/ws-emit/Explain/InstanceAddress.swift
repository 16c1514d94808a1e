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
    ) throws -> [InstanceAddress] {
        let secret = secret ?? environment.value("SECRET")
        let admin = environment.setting(adminAddress, "--admin-address", "ADMIN_ADDRESS")
        if adminAddress != nil, let admin {
            guard url == nil else { throw ValidationError("give --admin-address or --url, not both") }
            return [try InstanceAddress(admin)]
        }
        if let url {
            guard url.hasPrefix("http://") else {
                throw ValidationError("--url \(url) is not an http:// address; ask ws-emit itself, not a TLS proxy")
            }
            var authority = String(url.dropFirst("http://".count).prefix { $0 != "/" })
            if authority.last != "]", !authority.contains(":") || authority.hasSuffix("]") { authority += ":80" }
            let (host, port) = try Setting(name: "--url", text: authority).address()
            return [InstanceAddress(host: host, port: port, name: url, isPublic: true, secret: secret)]
        }
        let address = Setting(name: "ADDRESS", text: environment.value("ADDRESS") ?? "0.0.0.0:8899")
        var (host, port) = try address.address()
        // It listens on all addresses, including this one.
        host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        let name = "http://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
        return [
            try InstanceAddress(admin ?? Setting(name: "ADMIN_ADDRESS", text: "127.0.0.1:8898")),
            InstanceAddress(host: host, port: port, name: name, isPublic: true, secret: secret),
        ]
    }

    // MARK: Asking

    /// Asks the addresses in turn, until one has the facts.
    static func ask(
        _ addresses: [InstanceAddress], room: String, namespace: String, _ group: any EventLoopGroup
    ) async throws(Failure) -> (InstanceAddress, InstanceFacts) {
        let path = "/explain?room=\(encoded(room))&namespace=\(encoded(namespace))"
        var replies: [(InstanceAddress, Reply)] = []
        for address in addresses {
            do throws(AdminClient.Failure) {
                let response = try await AdminClient.get(
                    path, host: address.host, port: address.port, bearer: address.secret, group: group)
                if response.status == 200, let facts = InstanceFacts(response.body) { return (address, facts) }
                replies.append((address, .status(response.status)))
            } catch {
                replies.append((address, .nothing("\(error)")))
            }
        }
        throw Failure(finding: finding(for: replies))
    }

    enum Reply {
        case status(Int)
        /// Why there is no response, as a clause.
        case nothing(String)
    }

    /// The finding if no address had the facts: about the last address with a server.
    static func finding(for replies: [(address: InstanceAddress, reply: Reply)]) -> Diagnosis.Finding {
        var causes: [String] = []
        var last: (address: InstanceAddress, status: Int)?
        for (address, reply) in replies {
            switch reply {
            case .status(let status): last = (address, status)
            case .nothing(let cause): causes.append("\(address.name) (\(cause))")
            }
        }
        guard let (address, status) = last else {
            return Diagnosis.Finding(
                "unreachable", "ws-emit can't be reached at \(causes.joined(separator: " and ")).",
                advice: "Is it running, and is that its address? Its log says \"ws-emit started on …\"."
                    + " Name another address with --admin-address, or with --url and --secret.")
        }
        let (code, sentence) =
            switch status {
            case 403 where address.isPublic && address.secret == nil:
                ("no_secret", "ws-emit at \(address.name) requires its secret.")
            case 403: ("wrong_secret", "ws-emit at \(address.name) refuses the secret: it has another one.")
            default:
                (
                    "cannot_ask",
                    "The server at \(address.name) responds \(status) to /explain: it is not a ws-emit, has no secret,"
                        + " or serves it at another address."
                )
            }
        return Diagnosis.Finding(
            code, sentence,
            advice: "Give ws-emit and explain the same --admin-address (ADMIN_ADDRESS in /etc/default/ws-emit), or give"
                + " explain --url and the --secret of POST /emit.")
    }

    /// Percent-encoded.
    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let scalar = UnicodeScalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                result.unicodeScalars.append(scalar)
            } else {
                result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
            }
        }
    }
}

extension InstanceAddress {
    fileprivate init(_ admin: Setting) throws(SettingsError) {
        let (host, port) = try admin.address()
        self.init(host: host, port: port, name: admin.text)
    }
}
