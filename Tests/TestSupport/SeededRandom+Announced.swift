import CLinux
import Glibc

extension SeededRandom {
    /// A generator whose seed is printed, so that a failure can be repeated with
    /// `DR_TEST_SEED=<seed>`.
    public static func announced(_ test: String = #function) -> SeededRandom {
        let given = getenv("DR_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? UInt64.random(in: 1...0xFFFF_FFFF)
        print("\(test) seed \(seed)")
        return SeededRandom(seed: seed)
    }
}
