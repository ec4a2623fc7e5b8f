/// Which `dr` this is.
enum Version {
    /// As `dr --version` shows it and every snapshot records it.
    static let current = "0.1.0"
}
