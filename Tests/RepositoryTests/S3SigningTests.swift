import Engine
import Model
import Repository
import Testing

/// Signatures as Amazon's own documentation computes them.
///
/// - SeeAlso: AWS, "Signature Calculations for the Authorization Header: Transferring Payload in a
///   Single Chunk", its four examples.
@Suite struct S3SigningTests {
    private let signer = S3Signer(
        credentials: S3Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE",
            secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), region: "us-east-1")

    private func signature(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [],
        headers: [HTTPHeader] = [], payloadHash: String = S3Signer.emptyHash
    ) throws -> String {
        let moment = try #require(Timestamp(rfc3339: "2013-05-24T00:00:00Z"))
        let added = signer.headers(
            method: method, host: "examplebucket.s3.amazonaws.com", path: path,
            query: S3Signer.query(query), headers: headers, payloadHash: payloadHash, at: moment)
        let value = try #require(added.first { $0.name == "Authorization" }?.value)
        #expect(
            value.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            ))
        return String(value.split(separator: "Signature=").last ?? "")
    }

    @Test func aRangeOfAnObject() throws {
        #expect(
            try signature("GET", "/test.txt", headers: [HTTPHeader("Range", "bytes=0-9")])
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func anObjectThatIsStored() throws {
        #expect(
            try signature(
                "PUT", "/" + S3Signer.encoded("test$file.text"),
                headers: [
                    HTTPHeader("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                    HTTPHeader("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                payloadHash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
                == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func aQueryWithoutAValue() throws {
        #expect(
            try signature("GET", "/", query: [("lifecycle", "")])
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func aListing() throws {
        #expect(
            try signature("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func encoding() {
        #expect(
            S3Signer.encoded("a b/ü~-_.*'", keeping: [UInt8(ascii: "/")])
                == "a%20b/%C3%BC~-_.%2A%27")
        #expect(
            S3Signer.query([("b", "1/2"), ("a", "x y"), ("a", "+")]) == "a=%2B&a=x%20y&b=1%2F2")
    }

    @Test func aTemporaryKeyIsSignedWithItsToken() throws {
        var other = signer
        other.credentials.sessionToken = "token"
        let added = other.headers(
            method: "GET", host: "h", path: "/", query: "", headers: [],
            payloadHash: S3Signer.emptyHash, at: Timestamp(nanoseconds: 0))
        #expect(added.contains(HTTPHeader("x-amz-security-token", "token")))
        let value = try #require(added.first { $0.name == "Authorization" }?.value)
        #expect(
            value.contains(
                "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"))
    }
}
