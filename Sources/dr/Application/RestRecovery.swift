import Catalog
import Engine
import Model
import Snapshot
import Workloads

extension Application {
    /// Sets going again what a killed run has left stopped or paused, and says so.
    ///
    /// - Returns: What was found; empty as a rule.
    @discardableResult
    func recoverRests(_ catalog: Catalog) async throws -> [RestRecovering.Finding] {
        let findings = try await RestRecovering(catalog: catalog, timepiece: timepiece).recover()
        for finding in findings {
            if let failure = finding.failure {
                output.warning("\(finding.text): \(failure.description)", hint: failure.hint)
            } else if finding.result != .ran {
                output.warning(finding.text)
            }
        }
        return findings
    }
}
