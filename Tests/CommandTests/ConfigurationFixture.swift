import Model

@testable import dr

/// Reads configurations as `dr` does, from texts.
enum ConfigurationFixture {
    static func read(_ text: String, repository: String? = nil) throws -> Configuration {
        try read(Array(text.utf8), repository: repository)
    }

    static func read(_ bytes: [UInt8], repository: String? = nil) throws -> Configuration {
        try ConfigurationReader(file: "dr.yaml", directory: "/etc/dr", repository: repository)
            .read(bytes)
    }

    /// What a person sees, a line an error with its hint after a bar; empty when all is well.
    static func complaints(_ bytes: [UInt8]) -> [String] {
        do {
            _ = try read(bytes)
            return []
        } catch let failures as Failures {
            return failures.all.map { failure in
                failure.hint.map { "\(failure.message) | \($0)" } ?? failure.message
            }
        } catch {
            return ["\(error)"]
        }
    }

    static func complaints(_ text: String) -> [String] { complaints(Array(text.utf8)) }
}
