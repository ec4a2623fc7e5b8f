import Model

/// Asks a URL once.
enum HTTPProbe {
    /// Healthy when the answer has `status` and, where `body` is given, that text in it.
    ///
    /// Redirects are followed unless a redirect is what is expected.
    static func ask(
        _ client: HTTPClient, url: String, status: Int, body: String?, through: Detour?,
        patience: TimeSpan
    ) async throws -> HealthVerdict {
        var request = HTTPRequest(.get, url)
        request.through = through
        request.maximumRedirects = (300...399).contains(status) ? 0 : 5
        request.connectTimeout = patience
        request.totalTimeout = patience
        let answer: HTTPResponse
        do {
            answer = try await client.send(request)
        } catch let failure as Failure {
            return .unhealthy(failure.description)
        }
        guard answer.status == status else { return .unhealthy("answered \(answer.status)") }
        if let body, !answer.text.contains(body) {
            return .unhealthy("answered \(status) without the expected text")
        }
        return .healthy
    }
}
