import Snapshot
import Testing

@Suite struct GlobPatternTests {
    @Test(arguments: [
        ("*.html", "/srv/www/index.html", true),
        ("*.html", "/srv/www/index.htm", false),
        ("**/*.html", "/index.html", true),
        ("**/*.html", "index.html", true),
        ("**/*.html", "/srv/www/index.html", true),
        ("**/*.html", "/srv/www.html/index", false),
        ("/srv/*/index.html", "/srv/www/index.html", true),
        ("/srv/*/index.html", "/srv/a/b/index.html", false),
        ("/srv/**/index.html", "/srv/index.html", true),
        ("/srv/**/index.html", "/srv/a/b/index.html", true),
        ("/srv/**/b/*/c*e", "/srv/a/b/x/y/b/z/cde", true),
        ("/srv/**/b/*/c*e", "/srv/a/b/x/y/z/cde", false),
        ("/srv/**", "/srv/a/b", true),
        ("/srv/**", "/srv2/a", false),
        ("file[0-9]?", "/a/file12", true),
        ("file[!0-9]", "/a/file1", false),
        ("/a\\*b", "/a*b", true),
        ("/a\\*b", "/axb", false),
    ])
    func whatMatches(_ pattern: String, _ path: String, _ matches: Bool) {
        #expect(GlobPattern(pattern).matches(Array(path.utf8)) == matches)
    }
}
