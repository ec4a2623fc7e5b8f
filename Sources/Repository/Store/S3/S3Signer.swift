import Crypto
package import Engine
import FoundationEssentials
package import Model

/// Signs requests as S3-compatible stores want it.
///
/// - SeeAlso: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version
///   4)"; S3 encodes the path once and does not normalise it.
package struct S3Signer: Sendable {
    package var credentials: S3Credentials
    package var region: String

    package init(credentials: S3Credentials, region: String) {
        self.credentials = credentials
        self.region = region
    }

    /// SHA-256 of nothing, in hex.
    package static let emptyHash =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// Everything that must be sent besides what is given: date, hash, token, authorization.
    ///
    /// - Parameters:
    ///   - path: Encoded, begins with a slash.
    ///   - query: As ``query(_:)`` gives it.
    ///   - headers: All of them are signed; names in any case.
    ///   - payloadHash: SHA-256 of the body, in hex.
    package func headers(
        method: String, host: String, path: String, query: String, headers: [HTTPHeader],
        payloadHash: String, at moment: Timestamp
    ) -> [HTTPHeader] {
        let stamp = Self.stamp(moment)
        let day = String(stamp.prefix(8))
        var added = [
            HTTPHeader("x-amz-content-sha256", payloadHash), HTTPHeader("x-amz-date", stamp),
        ]
        if let token = credentials.sessionToken {
            added.append(HTTPHeader("x-amz-security-token", token))
        }
        let all = ([HTTPHeader("host", host)] + headers + added).map {
            (name: $0.name.lowercased(), value: Self.collapsed($0.value))
        }.sorted { $0.name < $1.name }
        let names = all.map(\.name).joined(separator: ";")
        let canonical =
            "\(method)\n\(path)\n\(query)\n"
            + all.map { "\($0.name):\($0.value)\n" }.joined() + "\n\(names)\n\(payloadHash)"
        let scope = "\(day)/\(region)/s3/aws4_request"
        let hash = Hexadecimal.encode(SHA256.hash(data: Data(canonical.utf8)))
        let text = "AWS4-HMAC-SHA256\n\(stamp)\n\(scope)\n\(hash)"
        var key = SymmetricKey(data: Data("AWS4\(credentials.secretKey)".utf8))
        for part in [day, region, "s3", "aws4_request"] {
            key = SymmetricKey(
                data: HMAC<SHA256>.authenticationCode(for: Data(part.utf8), using: key))
        }
        let signature = Hexadecimal.encode(
            HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key))
        added.append(
            HTTPHeader(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),"
                    + "SignedHeaders=\(names),Signature=\(signature)"))
        return added
    }

    /// A query as it is sent and signed: encoded, in the order of the names.
    package static func query(_ items: [(name: String, value: String)]) -> String {
        items.map { (encoded($0.name), encoded($0.value)) }.sorted { $0 < $1 }
            .map { "\($0)=\($1)" }.joined(separator: "&")
    }

    /// Percent-encoded but for unreserved characters and those of `keeping`.
    package static func encoded(_ text: String, keeping: Set<UInt8> = []) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where keeping.contains(byte):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    /// `20130524T000000Z`.
    static func stamp(_ moment: Timestamp) -> String {
        let whole = Timestamp(nanoseconds: moment.wholeSeconds &* 1_000_000_000)
        return whole.description.filter { $0 != "-" && $0 != ":" }
    }

    /// Without blanks at its ends, several in a row as one.
    private static func collapsed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }
}
