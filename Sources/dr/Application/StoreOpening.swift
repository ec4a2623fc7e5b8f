import CLinux
import Engine
import Glibc
import Model
import Repository

// The one place that knows which store an address means, and what it is opened with.
extension Application {
    /// The store that `configuration` names.
    func store(of configuration: Configuration) async throws -> any ObjectStore {
        try await store(at: configuration.repository, configuration.repositoryOptions)
    }

    /// - Parameter place: As ``Configuration/repository``: absolute, or an address.
    func store(at place: String, _ options: RepositoryOptions) async throws -> any ObjectStore {
        let understood = try StorePlace.understood(place)
        if options.retainFor != nil {
            guard case .s3 = understood else {
                throw Failure(
                    .usage, "retain_for needs a bucket, and \(printable(place.utf8)) is none",
                    hint: "leave it out: who may write there may also delete")
            }
        }
        switch understood {
        case .directory(let path): return DirectoryStore(root: path)
        case .s3(let address):
            let credentials = try await BlockingPool.shared.run { try s3Credentials(options) }
            return try S3Store(
                address, credentials: credentials, options: try s3Options(options))
        case .sftp(let address):
            return SFTPStore(
                address, ssh: SSHProgram(environment: environment.variables),
                deadline: options.deadline, uploadRate: options.uploadLimit,
                downloadRate: options.downloadLimit)
        }
    }

    private func s3Options(_ options: RepositoryOptions) throws -> S3Options {
        var result = S3Options()
        if let endpoint = options.endpoint {
            do throws(StorePlace.Problem) {
                result.endpoint = try S3Endpoint(parsing: endpoint)
            } catch {
                throw Failure(.usage, "repository.endpoint \(error.message)", hint: error.hint)
            }
        }
        result.region = options.region ?? variable("AWS_REGION") ?? variable("AWS_DEFAULT_REGION")
        switch options.style {
        case .path: result.style = .path
        case .host: result.style = .virtual
        case nil: result.style = .automatic
        }
        result.certificateAuthorities =
            options.certificateAuthorities ?? variable("AWS_CA_BUNDLE")
        result.deadline = options.deadline
        result.connections = options.connections
        result.uploadRate = options.uploadLimit
        result.downloadRate = options.downloadLimit
        if let span = options.retainFor {
            let mode: S3Retention.Mode =
                options.retainMode == .compliance ? .compliance : .governance
            result.retention = S3Retention(mode: mode, span: span)
        }
        return result
    }

    /// Whether a bucket's keys stand only in this process's environment, which no timer has.
    func takesKeysFromEnvironment(_ configuration: Configuration) -> Bool {
        guard case .some(.s3) = try? StorePlace(parsing: configuration.repository) else {
            return false
        }
        let options = configuration.repositoryOptions
        return options.credentialsFile == nil && options.profile == nil
            && variable("AWS_ACCESS_KEY_ID") != nil
    }

    private func variable(_ name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// What the configuration names, else the environment's keys, else the user's own file. Blocks.
    private func s3Credentials(_ options: RepositoryOptions) throws -> S3Credentials {
        let named = options.credentialsFile != nil || options.profile != nil
        if !named, let access = variable("AWS_ACCESS_KEY_ID") {
            guard let secret = variable("AWS_SECRET_ACCESS_KEY") else {
                throw Failure(
                    .usage, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not",
                    hint: "set both, or name a file with repository.credentials_file", side: .local)
            }
            return S3Credentials(
                accessKey: access, secretKey: secret, sessionToken: variable("AWS_SESSION_TOKEN"))
        }
        let profile = options.profile ?? variable("AWS_PROFILE") ?? "default"
        let home = variable("HOME") ?? (geteuid() == 0 ? "/root" : "")
        let path =
            options.credentialsFile ?? variable("AWS_SHARED_CREDENTIALS_FILE")
            ?? "\(home)/.aws/credentials"
        let shown = printable(path.utf8)
        let hint =
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with"
            + " repository.credentials_file"
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem().read(path)
        } catch {
            throw Failure(
                .usage, "there are no keys for the store: cannot read \(shown): \(error.reason)",
                hint: hint, side: .local)
        }
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_mode & 0o044 != 0
        {
            output.warning(
                "the credentials file \(shown) can be read by others", hint: "chmod 600 \(shown)")
        }
        let found = try S3Credentials(
            file: String(decoding: bytes, as: UTF8.self), profile: profile)
        guard let found else {
            throw Failure(
                .usage, "\(shown) has no profile \(printable(profile.utf8))", hint: hint,
                side: .local)
        }
        return found
    }
}

extension StorePlace {
    /// What a text means that was looked at before.
    static func understood(_ text: String) throws -> StorePlace {
        do throws(Problem) {
            return try StorePlace(parsing: text)
        } catch {
            throw Failure(.usage, "the repository \(error.message)", hint: error.hint)
        }
    }
}
