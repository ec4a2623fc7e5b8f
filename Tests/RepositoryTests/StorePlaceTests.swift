import Model
import Repository
import Testing

/// Addresses as people write them, and files of keys.
@Suite struct StorePlaceTests {
    @Test(arguments: [
        ("/srv/dr", "/srv/dr"), ("here/there", "here/there"), ("C:x", "C:x"),
        ("s3:https://s3.example.org/bucket/a/b", "s3:https://s3.example.org/bucket/a/b"),
        ("s3:https://S3.example.org:443/bucket/", "s3:https://s3.example.org/bucket"),
        ("s3:http://127.0.0.1:8333/bucket//a/", "s3:http://127.0.0.1:8333/bucket/a"),
        ("s3:s3.example.org/bucket", "s3:https://s3.example.org/bucket"),
        ("s3:http://[::1]:9000/b", "s3:http://[::1]:9000/b"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("sftp:user@host.example.org:/srv/dr", "sftp://user@host.example.org/srv/dr"),
        ("sftp:host.example.org:dr/web", "sftp://host.example.org/./dr/web"),
        ("sftp://user@host.example.org:23/srv/dr/", "sftp://user@host.example.org:23/srv/dr"),
        ("sftp://host.example.org/./dr", "sftp://host.example.org/./dr"),
        ("sftp:[2001:db8::1]:/srv/dr", "sftp://[2001:db8::1]/srv/dr"),
    ])
    func whatIsMeant(_ text: String, _ meant: String) throws {
        let place = try StorePlace(parsing: text)
        #expect(place.text == meant)
        // What is shown means the same again.
        #expect(try StorePlace(parsing: place.text) == place)
    }

    @Test(arguments: [
        "s3:", "s3:https://s3.example.org", "s3:https://s3.example.org/", "s3:https:///bucket",
        "s3:https://s3.example.org:0/bucket", "s3:https://s3.example.org:99999/bucket",
        "s3:https://user:secret@s3.example.org/bucket", "s3://user:secret@bucket/x",
        "s3://host.example.org:9000/bucket", "s3://", "s3:https://s3.example.org/buck et",
        "s3:https://s3.example.org/bucket/../other", "s3:https://s3.example.org/bucket?x=y",
        "s3:https://s3 example.org/bucket", "sftp:", "sftp:host", "sftp://host", "sftp://host/",
        "sftp:-oProxyCommand=x:/srv", "sftp:host:/a/../b", "b2://x/y", "rest:/x",
    ])
    func whatCannotBe(_ text: String) {
        do {
            let place = try StorePlace(parsing: text)
            Issue.record("\(text) is taken for \(place)")
        } catch {
            #expect(!error.message.contains("secret") && error.hint?.contains("secret") != true)
        }
    }

    @Test func aFileOfKeys() throws {
        let text = """
            # own keys
            [default]
            aws_access_key_id = AKIA1
            aws_secret_access_key=secret1\r
            [other]
              aws_access_key_id =AKIA2
            aws_secret_access_key = sec=ret2
            aws_session_token = token
            ; none
            [sso]
            sso_session = x
            """
        let first = try S3Credentials(file: text, profile: "default")
        #expect(first == S3Credentials(accessKey: "AKIA1", secretKey: "secret1"))
        let second = try S3Credentials(file: text, profile: "other")
        #expect(
            second
                == S3Credentials(accessKey: "AKIA2", secretKey: "sec=ret2", sessionToken: "token"))
        #expect(try S3Credentials(file: text, profile: "none") == nil)
        #expect(try S3Credentials(file: "", profile: "default") == nil)
        #expect(throws: Failure.self) { try S3Credentials(file: text, profile: "sso") }
        // Nobody prints them by mistake.
        #expect(!"\(first as Any) \(String(reflecting: second))".contains("secret1"))
        var shown = ""
        dump(second, to: &shown)
        #expect(!shown.contains("ret2"))
    }
}
