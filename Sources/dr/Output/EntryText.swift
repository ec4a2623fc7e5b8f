import Model

extension TreeEntry {
    /// Type and permissions, as `ls -l` shows them.
    var letters: String {
        var letters = Array("rwxrwxrwx")
        for bit in 0..<9 where mode & (0o400 >> UInt32(bit)) == 0 { letters[bit] = "-" }
        for (bit, place, letter) in [(0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")]
        where mode & UInt32(bit) != 0 {
            letters[place] = Character(letters[place] == "x" ? letter : letter.uppercased())
        }
        return type.letter + String(letters)
    }

    /// As `chmod` takes it, for example `0755`.
    var octalMode: String {
        let digits = String(mode & 0o7777, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// What it is and how large, in columns: letters, owner, size.
    var columns: String {
        func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
            let space = String(repeating: " ", count: max(0, width - text.utf8.count))
            return right ? space + text : text + space
        }
        return "\(letters)  \(padded("\(userID):\(groupID)", 11))"
            + "  \(padded(String(size), 12, right: true))"
    }
}

/// The members of a JSON object that say a path: as text, and in hexadecimal where it is none.
func pathMembers(_ path: [UInt8], _ name: String = "path") -> [JSONMember] {
    var members = [JSONMember(name, .string(String(decoding: path, as: UTF8.self)))]
    if String(validating: path, as: UTF8.self) == nil {
        members.append(JSONMember("\(name)_hex", .string(Hexadecimal.encode(path))))
    }
    return members
}
