import NIOHTTP1

/// The pages that may use the server; as python-engineio's `cors_allowed_origins` with the original's options.
struct CORSPolicy: Sendable {
    private let origins: Set<String>
    private let allowsAny: Bool

    init(origins: [String]) {
        self.origins = Set(origins)
        allowsAny = origins.contains("*")
    }

    /// A request without Origin comes from no page; any other Origin must match exactly.
    func accepts(_ origin: String?) -> Bool {
        guard let origin, !origin.isEmpty else { return true }
        return allowsAny || origins.contains(origin)
    }

    func headers(for origin: String?) -> [(name: String, value: String)] {
        var headers = [(name: "Access-Control-Allow-Credentials", value: "true")]
        if let origin, !origin.isEmpty {
            headers.append((name: "Access-Control-Allow-Origin", value: origin))
            headers.append((name: "Vary", value: "Origin"))
        }
        return headers
    }

    /// The response to OPTIONS; it allows whatever the browser asks for.
    func preflight(origin: String?, _ request: HTTPHeaders) -> HTTPResponse {
        var headers = headers(for: origin) + [("Access-Control-Allow-Methods", "OPTIONS, GET, POST")]
        if origin?.isEmpty == false {
            if let requestedHeaders = request.first(name: "access-control-request-headers") {
                headers.append((name: "Access-Control-Allow-Headers", value: requestedHeaders))
            }
            // Asked for a public page that connects to a server in the user's own network.
            if request.first(name: "access-control-request-private-network")?.lowercased() == "true" {
                headers.append((name: "Access-Control-Allow-Private-Network", value: "true"))
            }
        }
        return HTTPResponse(.ok, contentType: "text/plain", text: "OK").adding(headers)
    }
}
