import Crypto
import Engine
public import Model

/// What of a plan a drill attests: services, order, steps and checks. Snapshots and sizes change
/// every night and are no part of it.
public struct PlanFingerprint: Sendable {
    /// SHA-256 in hexadecimal.
    public let hash: String

    /// - Parameter plan: To this machine, of everything.
    public init(_ plan: RecoveryPlan) throws {
        struct Service: Encodable {
            var name: ServiceName
            var after: [ServiceName]
            var objectives: Objectives
            var checks: [String]
        }
        struct Step: Encodable {
            var id: String
            var needs: [String]
            var makes: [String]
            var checks: [PlannedCheck]
            var message: String?
        }
        struct Shape: Encodable {
            var services: [Service]
            var steps: [Step]
        }
        let shape = Shape(
            services: plan.services.sorted { $0.name < $1.name }.map {
                Service(
                    name: $0.name, after: $0.after, objectives: $0.objectives, checks: $0.checks)
            },
            steps: plan.steps.sorted { $0.id < $1.id }.map {
                Step(
                    id: $0.id, needs: $0.needs.sorted(), makes: $0.makes, checks: $0.checks,
                    message: $0.message)
            })
        hash = Self.digest(try StableJSON.encode(shape))
    }

    /// SHA-256 in hexadecimal.
    public static func digest(_ bytes: [UInt8]) -> String {
        Hexadecimal.encode(Array(SHA256.hash(data: bytes)))
    }
}
