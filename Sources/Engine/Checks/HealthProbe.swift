public import Model

/// Asks once whether something is healthy.
public protocol HealthProbe: Sendable {
    /// One attempt, of a few seconds at most.
    ///
    /// - Throws: Only what another attempt cannot change, for example a check that is not known.
    func probe(_ check: CheckSpecification) async throws -> HealthVerdict
}

/// The answer to one attempt.
public enum HealthVerdict: Sendable, Hashable {
    case healthy
    /// Not, or not yet; with the reason.
    case unhealthy(String)
}

/// Hands each kind of check to whoever can do it.
public struct CheckProbe: HealthProbe {
    /// Asks for the state of a container.
    public typealias ContainerQuestion = @Sendable (_ name: String) async throws -> HealthVerdict

    /// Asks a database of a service, and says what it answered.
    public typealias DatabaseQuestion =
        @Sendable (_ query: String, _ database: String?, _ service: ServiceName) async throws
        -> String

    private let programs: (any ProgramRunner)?
    private let http: HTTPClient?
    private let container: ContainerQuestion?
    private let sql: DatabaseQuestion?
    /// Longest time for one attempt.
    private let patience: TimeSpan

    public init(
        programs: (any ProgramRunner)? = nil, http: HTTPClient? = nil,
        container: ContainerQuestion? = nil, sql: DatabaseQuestion? = nil,
        patience: TimeSpan = TimeSpan(seconds: 10)
    ) {
        self.programs = programs
        self.http = http
        self.container = container
        self.sql = sql
        self.patience = patience
    }

    public func probe(_ check: CheckSpecification) async throws -> HealthVerdict {
        switch check.kind {
        case .tcp(let host, let port):
            return try await BlockingPool.shared.run { [patience] in
                TCPProbe.connect(host: host, port: port, patience: patience)
            }
        case .command(let words):
            guard let programs else { break }
            do {
                let result = try await programs.run(ProgramCall(words, timeout: patience))
                return result.succeeded
                    ? .healthy : .unhealthy("\(words.first ?? "") ended with \(result.status)")
            } catch let failure as Failure {
                return .unhealthy(failure.description)
            }
        case .http(let url, let status, let body):
            guard let http else { break }
            return try await HTTPProbe.ask(
                http, url: url, status: status, body: body, through: check.through,
                patience: patience)
        case .sql(let query, let database, let service):
            guard let sql else { break }
            do {
                let answer = try await sql(query, database, service)
                let isTrue = !["", "f", "false", "0"].contains(answer.lowercased())
                return isTrue ? .healthy : .unhealthy("answered \"\(printable(answer.utf8))\"")
            } catch let failure as Failure where failure.code != .usage {
                return .unhealthy(failure.description)
            }
        case .container(let name):
            guard let container else { break }
            return try await container(name)
        }
        throw Failure(
            .usage, "check cannot be made here: \(check.summary)",
            hint: "use another kind of check")
    }
}
