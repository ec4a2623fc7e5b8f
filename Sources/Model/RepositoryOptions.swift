/// How the place of a repository is reached, where its address does not say it all.
public struct RepositoryOptions: Sendable, Hashable {
    /// Where a bucket's store answers, instead of what the address says.
    public var endpoint: String?
    public var region: String?
    /// Where the bucket's name stands in requests; nil for what the endpoint is used to.
    public var style: BucketStyle?
    /// A file of access keys, in the form of `~/.aws/credentials`.
    public var credentialsFile: String?
    /// Which of that file's.
    public var profile: String?
    /// A file of certificates that the store is trusted by; nil for the system's.
    public var certificateAuthorities: String?
    /// Longest time that one call to the store is tried for.
    public var deadline: TimeSpan
    /// Most calls under way at once.
    public var connections: Int
    /// Bytes a second; nil for no limit.
    public var uploadLimit: ByteCount?
    public var downloadLimit: ByteCount?
    /// Most bytes that are kept on this machine of what is far away; 0 for none.
    public var cacheLimit: ByteCount

    /// How long a bucket locks what is stored; nil for not at all.
    public var retainFor: TimeSpan?
    public var retainMode = RetainMode.governance

    /// Who may end a lock early: who has a right of its own, or nobody.
    public enum RetainMode: String, Sendable, Hashable, CaseIterable { case governance, compliance }

    /// Where a bucket's name stands.
    public enum BucketStyle: String, Sendable, Hashable, CaseIterable { case path, host }

    public init() {
        deadline = TimeSpan(seconds: 300)
        connections = 16
        cacheLimit = ByteCount(256 << 20)
    }
}

/// Another repository, which gets what the first one has.
public struct RepositoryCopy: Sendable, Hashable {
    /// As commands and reports call it.
    public var name: String
    /// As ``Configuration/repository``.
    public var repository: String
    public var options: RepositoryOptions
    /// Where its password comes from; nil for the first one's.
    public var password: SecretSource?
    /// A file with a key instead of a password.
    public var keyFile: String?

    public init(
        name: String, repository: String, options: RepositoryOptions = RepositoryOptions(),
        password: SecretSource? = nil, keyFile: String? = nil
    ) {
        self.name = name
        self.repository = repository
        self.options = options
        self.password = password
        self.keyFile = keyFile
    }
}
