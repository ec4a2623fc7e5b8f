import Model

/// A failure as JSON has it.
enum ErrorDocument {
    static func members(_ failure: Failure) -> KeyValuePairs<String, JSONValue?> {
        let context = failure.context.isEmpty ? nil : JSONValue.strings(failure.context)
        return [
            "code": .integer(Int64(failure.code.rawValue)),
            "message": .string(failure.message),
            "hint": failure.hint.map { .string($0) },
            "context": context,
            "cause": failure.cause.map { .string($0) },
            "side": failure.side.map { .string($0.rawValue) },
        ]
    }
}
