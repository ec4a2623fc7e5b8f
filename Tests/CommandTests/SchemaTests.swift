import CLinux
import Engine
import Glibc
import Model
import TestSupport
import Testing

@testable import dr

@Suite("The schema and the reference")
struct SchemaTests {
    @Test("docs/dr.schema.json is what dr config schema writes")
    func schemaIsCheckedIn() throws {
        let file = try FileSystem().read(Checkout.path("docs/dr.schema.json"))
        #expect(
            String(decoding: file, as: UTF8.self)
                == ConfigurationSchema.document.indented + "\n",
            "run: dr config schema > docs/dr.schema.json")
    }

    @Test("docs/configuration.md is what dr config reference writes")
    func referenceIsCheckedIn() throws {
        let file = try FileSystem().read(Checkout.path("docs/configuration.md"))
        #expect(
            String(decoding: file, as: UTF8.self) == ConfigurationReference.page,
            "run: dr config reference > docs/configuration.md")
    }

    @Test("Every example of every key is accepted where it stands")
    func examples() throws {
        var count = 0
        func walk(_ fields: RecordShape) throws {
            for key in fields.keys {
                count += 1
                let text = "key: \(key.example)\n"
                let root = try #require(try YamlParser.parse(try YamlText(Array(text.utf8))))
                var reader = ShapeReader()
                let shape = Shape.record(RecordShape(keys: [keyed(key)]))
                #expect(reader.read(root, as: shape, path: "") != nil)
                #expect(reader.problems.isEmpty, "\(key.name): \(reader.problems.all)")
                switch key.shape {
                case .record(let inner), .named(let inner), .listOrRecord(_, let inner),
                    .textOrRecord(_, let inner),
                    .oneOrMore(.record(let inner)):
                    try walk(inner)
                default: break
                }
            }
        }
        func keyed(_ key: KeyShape) -> KeyShape {
            var copy = key
            copy.name = "key"
            return copy
        }
        try walk(ConfigurationShape.root)
        #expect(count > 40)
    }

    @Test("Every object of the schema is closed and explains each of its keys")
    func structure() {
        func walk(_ schema: JSONValue, path: String) {
            if case .array(let items) = schema {
                for item in items { walk(item, path: path) }
            }
            guard case .object(let members) = schema else { return }
            #expect(Set(members.map(\.name)).count == members.count, "\(path)")
            if case .object(let properties)? = schema["properties"] {
                #expect(schema["additionalProperties"] == false, "\(path)")
                if case .array(let required)? = schema["required"] {
                    for name in required {
                        #expect(properties.contains { .string($0.name) == name }, "\(path)")
                    }
                }
                for property in properties {
                    #expect(property.value["description"] != nil, "\(path).\(property.name)")
                }
            }
            for member in members { walk(member.value, path: "\(path).\(member.name)") }
        }
        walk(ConfigurationSchema.document, path: "")
    }

    private static let samples: [(text: String, isGood: Bool)] = [
        (ConfigurationReference.example.joined(separator: "\n"), true),
        ("repository: /r", true),
        ("repository: ./r", true),
        ("services: {}", false),
        ("repository: s3://bucket/x", true),
        ("repository: ~/r", false),
        ("repository: /r\nobjectives: {rto: 90}", true),
        ("repository: /r\nobjectives: {rto: 1h30m}", true),
        ("repository: /r\nobjectives: {rto: 0}", false),
        ("repository: /r\nobjectives: {rto: 1 hour}", false),
        ("repository: /r\nobjectives: {sla: 1h}", false),
        ("repository: /r\nretention: {daily: 7, within: 2d}", true),
        ("repository: /r\nretention: {daily: -1}", false),
        ("repository: /r\nretention: {daily: \"7\"}", false),
        ("repository: /r\ncompression: {level: 20}", false),
        ("repository: /r\ndocker: {host: \"tcp://h:2375\"}", false),
        ("repository: /r\nservices: {a: {rto: 1h}}", false),
        ("repository: /r\nservices: {a: {files: /a}}", false),
        ("repository: /r\nservices: {a: {files: []}}", false),
        ("repository: /r\nservices: {a: {files: {paths: /a, exclude: [\"*.log\"]}}}", true),
        ("repository: /r\nservices: {a: {files: {exclude: x}}}", false),
        ("repository: /r\nservices: {a b: {files: [/a]}}", false),
        ("repository: /r\nservices: {a: {sqlite: /a, allow_empty: true}}", true),
        ("repository: /r\nservices: {a: {sqlite: /a, allow_empty: \"true\"}}", false),
        ("repository: /r\nservices: {a: {docker: {project: 2024}}}", true),
        ("repository: /r\nservices: {a: {docker: {project: a, volume: b}}}", false),
        ("repository: /r\nservices: {a: {docker: {container: a, image: yes}}}", false),
        ("repository: /r\nservices: {a: {postgres: {url: \"postgres://h/d\"}}}", true),
        ("repository: /r\nservices: {a: {postgres: {url: \"http://h/d\"}}}", false),
        ("repository: /r\nservices: {a: {postgres: {container: a, url: \"postgres://h\"}}}", false),
        ("repository: /r\nservices: {a: {postgres: {container: a, host: \"ssh://h\"}}}", true),
        ("repository: /r\nservices: {a: {mariadb: {address: a, host: \"ssh://h\"}}}", true),
        ("repository: /r\nservices: {a: {mariadb: {container: a, address: b}}}", false),
        ("repository: /r\nservices: {a: {files: {paths: /a, host: \"ssh://h/x\"}}}", false),
        (
            "repository: /r\nservices: {a: {postgres: {container: a, password_env: A,"
                + " password_file: b}}}", false
        ),
        ("repository: /r\nservices: {a: {postgres: {container: a, password_env: A}}}", true),
        ("repository: /r\nservices: {a: {command: {capture: [slapcat, -n, 1]}}}", true),
        ("repository: /r\nservices: {a: {command: {name: x}}}", false),
        ("repository: /r\nservices: {a: {sqlite: /a, check: {tcp: \"h:1\"}}}", true),
        (
            "repository: /r\nservices: {a: {sqlite: /a, check: [{tcp: \"h:1\"}, {http: \"http://h\"}]}}",
            true
        ),
        ("repository: /r\nservices: {a: {sqlite: /a, check: {timeout: 1m}}}", false),
        ("repository: /r\nservices: {a: {sqlite: /a, after: a b}}", false),
        ("repository: /r\nrestore: {jobs: 2, jobs_per_disk: 1}", true),
        ("repository: /r\ntargets: {t: {names: {prefix: t-, map: {a: b}}, root: /x}}", true),
        ("repository: /r\ntargets: {t: {ports: {offset: 10000, map: {\"80\": 8080}}}}", true),
        ("repository: /r\ntargets: {t: {ports: {map: {http: 80}}}}", false),
        ("repository: /r\ntargets: {t: {subnets: {10.0.0.0/24: 10.1.0.0/24}}}", true),
        ("repository: /r\ntargets: {t: {subnets: {10.0.0.0: 10.1.0.0/24}}}", false),
        ("repository: /r\ntargets: {t: {labels: none}}", false),
    ]

    @Test(
        "A JSON Schema validator and dr agree about what is right",
        .enabled(if: PythonValidator.isThere, "needs python3 with jsonschema and yaml"))
    func validator() async throws {
        try await TemporaryDirectory.with("schema") { scratch in
            let schema = try scratch.write(
                "schema.json", ConfigurationSchema.document.indented)
            var files: [String] = []
            for (index, sample) in Self.samples.enumerated() {
                files.append(try scratch.write("sample-\(index).yaml", sample.text))
                let complaints = ConfigurationFixture.complaints(sample.text)
                #expect(complaints.isEmpty == sample.isGood, "\(sample.text): \(complaints)")
            }
            let verdicts = try await PythonValidator.accepts(files, by: schema)
            try #require(verdicts.count == files.count)
            for (sample, verdict) in zip(Self.samples, verdicts) {
                #expect(verdict == sample.isGood, "\(sample.text)")
            }
        }
    }
}

/// Another reading of JSON Schema than our own.
enum PythonValidator {
    static let isThere: Bool = {
        guard TestEnvironment.hasProgram("python3") else { return false }
        return system("python3 -c 'import jsonschema, yaml' 2>/dev/null") == 0
    }()

    static func accepts(_ files: [String], by schema: String) async throws -> [Bool] {
        let script = """
            import json, sys, yaml, jsonschema
            schema = json.load(open(sys.argv[1]))
            jsonschema.Draft202012Validator.check_schema(schema)
            validator = jsonschema.Draft202012Validator(schema)
            for name in sys.argv[2:]:
                print("yes" if validator.is_valid(yaml.safe_load(open(name))) else "no")
            """
        let outcome = try await OutsideProgram.run(["python3", "-c", script, schema] + files)
        #expect(outcome.status == 0, "\(outcome)")
        return outcome.text.split(separator: "\n").map { $0 == "yes" }
    }
}
