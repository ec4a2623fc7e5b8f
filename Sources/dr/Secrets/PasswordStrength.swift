import CLinux
import Glibc

/// How hard a password is to guess, roughly.
///
/// A guess, and it errs on the side of the attacker: it knows no dictionary beyond the few words
/// that everybody tries first.
enum PasswordStrength {
    /// Below this a warning is due: with scrypt in front, about a year of one machine's work.
    static let enoughBits = 45.0

    static func isWeak(_ password: String) -> Bool { bits(password) < enoughBits }

    /// An estimate of the entropy in bits.
    static func bits(_ password: String) -> Double {
        let characters = Array(password.unicodeScalars)
        var alphabet = 0.0
        if characters.contains(where: { (97...122).contains($0.value) }) { alphabet += 26 }
        if characters.contains(where: { (65...90).contains($0.value) }) { alphabet += 26 }
        if characters.contains(where: { (48...57).contains($0.value) }) { alphabet += 10 }
        if characters.contains(where: { $0.isASCII && !isAlphanumeric($0) }) { alphabet += 33 }
        if characters.contains(where: { !$0.isASCII }) { alphabet += 100 }
        guard alphabet > 0 else { return 0 }
        // A character that continues a run (aaa, 123, cba) adds next to nothing.
        var surprising = 0.0
        for index in characters.indices {
            let previous = index > 0 ? Int(characters[index - 1].value) : -10
            surprising += abs(Int(characters[index].value) - previous) <= 1 ? 0.25 : 1
        }
        // A word that everybody tries first is worth a character, however its letters are dressed up.
        let disguises: [Character: Character] = [
            "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "@": "a", "$": "s", "!": "i",
        ]
        let plain = String(password.lowercased().map { disguises[$0] ?? $0 })
        for word in commonWords where plain.contains(word) {
            surprising -= Double(word.count - 1)
        }
        return max(1, surprising) * log2(alphabet)
    }

    private static let commonWords = [
        "password", "passwort", "qwerty", "letmein", "admin", "secret", "backup", "welcome",
    ]

    private static func isAlphanumeric(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 48...57, 65...90, 97...122: true
        default: false
        }
    }
}
