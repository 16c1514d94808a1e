import Glibc
import NIOCore
import NIOSSL

/// The TLS settings of a ``RedisURL``: its `ssl_…` options.
///
/// | option | value | meaning |
/// |---|---|---|
/// | `ssl_cert_reqs` | `required` (default), `optional`, `none` | whether the server's certificate is verified; for a client `optional` is `required`, as in Python |
/// | `ssl_ca_certs`, `ssl_ca_path` | file, folder | PEM certificates of the CAs to trust instead of the system's |
/// | `ssl_ca_data` | text | such certificates themselves |
/// | `ssl_certfile`, `ssl_keyfile` | file, file | our certificate, with its chain, and its key, PEM |
/// | `ssl_password` | text | the passphrase of the key |
/// | `ssl_check_hostname` | true (default) or false | whether the certificate must name the host |
/// | `ssl_server_name` | host name | the name it must have, if that isn't the URL's host; sent as SNI too. Unknown to redis-py |
/// | `ssl_min_version` | `TLSv1.2` (default), `TLSv1.3`, or Python's names and numbers for them | |
///
/// The files are read for each connection, so that the next connection uses a renewed certificate.
package struct RedisTLS: Hashable, Sendable {
    var verifiesCertificate = true
    var checksHostname = true
    var trustedFile: String?
    var trustedCertificates: [UInt8]?
    var certificateFile: String?
    var keyFile: String?
    var keyPassword: [UInt8]?
    var serverName: String?
    var requiresTLS13 = false

    enum Option: String, CaseIterable {
        case verification = "ssl_cert_reqs"
        case trustedFile = "ssl_ca_certs"
        case trustedFolder = "ssl_ca_path"
        case trustedCertificates = "ssl_ca_data"
        case certificateFile = "ssl_certfile"
        case keyFile = "ssl_keyfile"
        case keyPassword = "ssl_password"
        case hostnameCheck = "ssl_check_hostname"
        case serverName = "ssl_server_name"
        case minimumVersion = "ssl_min_version"
    }

    /// Takes one option.
    ///
    /// - Returns: a note, if the option has another effect than its value says.
    mutating func take(_ option: Option, _ value: String) throws(RedisURLError) -> String? {
        let name = option.rawValue
        switch option {
        case .verification:
            switch value.lowercased() {
            case "required", "optional": verifiesCertificate = true
            case "none": verifiesCertificate = false
            // Like redis-py, which knows no others. Celery and kombu use the names of Python's constants.
            case "cert_none", "cert_optional", "cert_required":
                let word = value.lowercased().dropFirst("cert_".count)
                throw .option(name, "is neither required nor optional nor none: write ssl_cert_reqs=\(word)")
            default:
                throw .option(
                    name,
                    "is neither required nor optional nor none: write ssl_cert_reqs=none to accept any certificate")
            }
        case .trustedFile, .trustedFolder:
            guard trustedFile == nil else {
                throw .option("ssl_ca_certs", "and ssl_ca_path exclude each other")
            }
            trustedFile = value
        case .trustedCertificates: trustedCertificates = Array(value.utf8)
        case .certificateFile: certificateFile = value
        case .keyFile: keyFile = value
        case .keyPassword: keyPassword = Array(value.utf8)
        case .hostnameCheck: checksHostname = try RedisURLOptions.boolean(value, of: name)
        case .serverName:
            guard value.utf8.count <= 255, !value.utf8.contains(0) else { throw .option(name, "is no host name") }
            serverName = value
        case .minimumVersion:
            switch value {
            case "TLSv1.2", "TLSv1_2", "771": requiresTLS13 = false
            case "TLSv1.3", "TLSv1_3", "772": requiresTLS13 = true
            case "TLSv1_1", "TLSv1.1", "TLSv1_0", "770", "769", "-2":
                return
                    "the option ssl_min_version of the Redis URL is taken as TLSv1.2, the oldest version that is spoken"
            default: throw .option(name, "is neither TLSv1.2 nor TLSv1.3")
            }
        }
        return nil
    }

    /// A handler that encrypts one connection.
    ///
    /// - Throws: ``RedisURLError`` naming the file that can't be read.
    func makeHandler(for endpoint: RedisURL.Endpoint) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: makeContext(), serverHostname: name(of: endpoint))
    }

    /// The name that the certificate must have; nil for an address, which NIOSSL compares with the peer's by itself.
    private func name(of endpoint: RedisURL.Endpoint) -> String? {
        if let serverName { return serverName }
        guard case .tcp(let host, _) = endpoint, (try? SocketAddress(ipAddress: host, port: 0)) == nil else {
            return nil
        }
        return host
    }

    /// Reads all files.
    package func makeContext() throws(RedisURLError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // The end of the program waits for the shutdown of TLS, to which a silent peer never replies.
        configuration.shutdownTimeout = .seconds(1)
        configuration.minimumTLSVersion = requiresTLS13 ? .tlsv13 : .tlsv12
        configuration.certificateVerification =
            verifiesCertificate ? (checksHostname ? .fullVerification : .noHostnameVerification) : .none
        if let trustedFile {
            try Self.read("ssl_ca_certs", trustedFile, "it holds no certificate in PEM") {
                configuration.trustRoots = .file(trustedFile)
                // A file is read here for its errors; BoringSSL reads folders.
                if !Self.isFolder(trustedFile) { _ = try NIOSSLCertificate.fromPEMFile(trustedFile) }
            }
        }
        if let trustedCertificates {
            guard let certificates = try? NIOSSLCertificate.fromPEMBytes(trustedCertificates) else {
                throw .option("ssl_ca_data", "holds no certificate in PEM")
            }
            // Python trusts the file and these certificates.
            if trustedFile == nil { configuration.trustRoots = .certificates([]) }
            configuration.additionalTrustRoots = [.certificates(certificates)]
        }
        if let certificateFile, let keyFile {
            try Self.read("ssl_certfile", certificateFile, "it holds no certificate in PEM") {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificateFile).map {
                    .certificate($0)
                }
            }
            let password = keyPassword
            try Self.read("ssl_keyfile", keyFile, "it holds no key in PEM that opens with ssl_password") {
                configuration.privateKey = .privateKey(
                    try NIOSSLPrivateKey(file: keyFile, format: .pem) { (give: (ArraySlice<UInt8>) -> Void) in
                        give((password ?? [])[...])
                    })
            }
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw .option("ssl_keyfile", "does not fit ssl_certfile, or a file of certificates can't be used: \(error)")
        }
    }

    private static func read(
        _ option: String, _ path: String, _ problem: String, _ body: () throws -> Void
    ) throws(RedisURLError) {
        guard unsafe access(path, R_OK) == 0 else {
            throw unsafe .unreadable(
                option, path, strerror(errno).map { unsafe String(cString: $0) } ?? "can't be read")
        }
        do { try body() } catch { throw .unreadable(option, path, problem) }
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}

extension RedisURL {
    /// Reads the files that the options name, so that a wrong one is an error at the start.
    package func checkFiles() throws(RedisURLError) {
        _ = try options.tls?.makeContext()
        _ = try options.sentinelTLS?.makeContext()
    }
}

/// Explains errors of TLS connections.
enum RedisTLSFailure {
    /// - Parameter certificate: the server's, if the handshake got that far.
    static func cause(_ error: any Error, certificate: NIOSSLCertificate?, server: String) -> RedisError {
        if case NIOSSLError.uncleanShutdown = error { return .closedByServer }
        if error is IOError { return .reading(error) }
        return .tls(reason: describe(error, certificate: certificate, server: server))
    }

    private static func describe(_ error: any Error, certificate: NIOSSLCertificate?, server: String) -> String {
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "the server's certificate is not accepted: \(verdict(certificate))"
        }
        if text.contains("failedToValidateHostname") || text.contains("unableToValidateCertificate") {
            return "the server's certificate does not name \(server) (ssl_server_name says which name to expect)"
        }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            return "the server does not speak TLS on this port: write redis:// or name its TLS port"
        }
        if text.contains("CERTIFICATE_REQUIRED") || text.contains("HANDSHAKE_FAILURE") {
            return "the server wants a client certificate it trusts: name one with ssl_certfile and ssl_keyfile"
        }
        if text.contains("ALERT_UNKNOWN_CA") || text.contains("ALERT_BAD_CERTIFICATE")
            || text.contains("ALERT_CERTIFICATE_")
        {
            return "the server does not accept our certificate (ssl_certfile)"
        }
        if text.contains("PROTOCOL_VERSION") || text.contains("UNSUPPORTED_PROTOCOL") {
            return "no TLS version in common with the server (ssl_min_version)"
        }
        if text.contains("EOF during handshake") {
            return "the server closed the connection during the handshake; is this its TLS port?"
        }
        return RedisErrorText.printable(text.utf8)
    }

    private static func verdict(_ certificate: NIOSSLCertificate?) -> String {
        if let certificate {
            let now = time(nil)
            if certificate.notValidAfter < now { return "it expired on \(day(certificate.notValidAfter))" }
            if certificate.notValidBefore > now { return "it is not valid before \(day(certificate.notValidBefore))" }
        }
        return "no trusted CA has signed it; name the file of its CA with ssl_ca_certs"
    }

    private static func day(_ seconds: time_t) -> Substring { WallClock.text(Int64(seconds) * 1_000).prefix(10) }
}
