import Model

/// Runs `body`; what it finds damaged or missing in the repository is thrown as a person sees it.
///
/// - Throws: A `Failure` of code `.damaged` for ``FormatError`` and ``ObjectMissing``; otherwise what
///   `body` throws.
public func damageAsFailure<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch let error as FormatError {
        throw error.failure
    } catch is ObjectMissing {
        throw Failure(
            .damaged, "a pack is missing from the repository",
            hint: "run 'dr check' to see what is affected", side: .repository)
    }
}
