/// The checkout that this test was built from.
public enum Checkout {
    /// The absolute path of a file in it.
    public static func path(_ name: String) -> String {
        let components = #filePath.split(separator: "/").dropLast(3)
        return "/" + components.joined(separator: "/") + "/" + name
    }
}
