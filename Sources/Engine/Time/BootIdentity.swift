/// Tells one boot of a machine from every other.
public enum BootIdentity {
    /// The kernel's random name of this boot; nil where there is none.
    public static var current: String? {
        guard let bytes = try? FileSystem().read("/proc/sys/kernel/random/boot_id") else {
            return nil
        }
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        return text.isEmpty ? nil : text
    }
}
